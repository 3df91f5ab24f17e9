/// `dwgf selftest`: this copy of the program, as it was installed, restores two small images that it draws
/// itself, and looks at what came of it: one process, two ranks, going on, checksums, numbers, report,
/// pictures.
#pragma once

#include <dwgf/base/error.hpp>

namespace dwgf {

/// Prints a line a check. Works in a temporary folder of its own (TMPDIR), which it removes; needs nothing
/// but the installed files. Returns ok, or internal where a check failed. Throws IoError where no folder can
/// be made.
ExitCode selftest_command();

}  // namespace dwgf
