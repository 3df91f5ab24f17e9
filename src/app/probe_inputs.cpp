#include "app/probe_inputs.hpp"

#include <filesystem>
#include <optional>

#include <dwgf/base/error.hpp>

#include "data/formats.hpp"
#include "store/hdf5_probe.hpp"

namespace dwgf {

namespace {

void probe(const std::string& what, const std::string& path, const std::string& program) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return;
  try {
    require_survivable(path, program);
  } catch (const Error& error) {
    throw Error(error.code(), formatted("{}{}", what, error.what()));
  }
}

}  // namespace

void probe_inputs(const Settings& settings, const std::string& program) {
  for (const OptionSpec& option : settings.command().options) {
    if (!option.names_hdf5) continue;
    const std::string& data = settings.text(option.key);
    const std::optional<Hdf5Name> name = hdf5_name(data);
    probe(formatted("{}: ", option.key), name ? name->file : data, program);
  }
  const std::string& command = settings.command().name;
  if ((command == "verify" || command == "restore") && !settings.positionals.empty())
    probe("", settings.positionals.front(), program);
}

}  // namespace dwgf
