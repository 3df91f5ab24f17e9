#include "app/probe_inputs.hpp"

#include <algorithm>
#include <filesystem>

#include <dwgf/base/error.hpp>

#include "store/hdf5_probe.hpp"

namespace dwgf {

namespace {

/// FILE of FILE.h5:/dataset, as open_images reads it.
std::string file_of(const std::string& data) {
  std::error_code ignored;
  const std::size_t colon = data.rfind(":/");
  return colon == std::string::npos || colon == 0 || std::filesystem::exists(data, ignored)
             ? data
             : data.substr(0, colon);
}

void probe(const std::string& what, const std::string& path, const std::string& program) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return;
  try {
    require_survivable(path, program);
  } catch (const Error& error) {
    throw Error(error.code(), concat(what, error.what()));
  }
}

}  // namespace

void probe_inputs(const Settings& settings, const std::string& program) {
  const auto& options = settings.command().options;
  for (const char* key : {"input.data", "prior.path", "rerun"}) {
    const bool known = std::any_of(options.begin(), options.end(),
                                   [&](const OptionSpec& option) { return option.key == key; });
    if (known) probe(concat(key, ": "), file_of(settings.text(key)), program);
  }
  if (settings.command().name == "verify") probe("", settings.positionals.front(), program);
}

}  // namespace dwgf
