/// Shell completion, made from the option tables: commands, their options, the allowed values of options that
/// have a list of them, and file names elsewhere.
#pragma once

#include <string>

namespace dwgf {

/// The script for `bash`. Throws UsageError for another shell.
std::string completion_script(const std::string& shell);

}  // namespace dwgf
