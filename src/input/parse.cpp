// Words of the command line and lines of INI files -> settings.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <typeinfo>

#include <boost/program_options.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "input/settings.hpp"

namespace dwgf {

namespace {

namespace po = boost::program_options;

constexpr const char* kCommandLine = "command line";

/// A key and its value with the place they stood at.
struct Assignment {
  std::string key, value, where;
};

struct CommandLine {
  std::vector<Assignment> assignments;
  std::vector<std::string> positionals, configs, notes;
};

/// "steps" -> "flow.steps": the options whose name is that of `key`, in whatever section; empty where there
/// are none.
std::string same_name_elsewhere(const std::string& key, const CommandSpec& command, bool in_file) {
  const std::string name = "." + key.substr(key.rfind('.') + 1);  // npos + 1 is 0
  std::string text;
  for (const OptionSpec& option : command.options) {
    if (!option.key.ends_with(name)) continue;
    const std::string section = option.key.substr(0, option.key.size() - name.size());
    text += text.empty() ? "did you mean " : ", or ";
    text += in_file ? formatted("'{}'? put it below [{}]", option.key, section) : "'--" + option.key + "'?";
  }
  return text;
}

[[noreturn]] void unknown_key(const std::string& key, const std::string& where, const CommandSpec& command) {
  const std::string meant = same_name_elsewhere(key, command, where != kCommandLine);
  if (!meant.empty()) throw UsageError("{}: unknown option '{}'; {}", where, key, meant);
  std::vector<std::string> keys;
  for (const OptionSpec& option : command.options) keys.push_back(option.key);
  const std::string nearest = nearest_name(key, keys);
  throw UsageError("{}: unknown option '{}'{}", where, key,
                   nearest.empty() ? formatted("; `dwgf {} --help` lists them all", command.name)
                                   : formatted("; the nearest known one is '{}'", nearest));
}

bool is_of_kind(const CommandSpec& command, const std::string& key, bool flag) {
  return std::any_of(command.options.begin(), command.options.end(), [&](const OptionSpec& option) {
    return option.key == key && (option.kind == OptionKind::flag) == flag;
  });
}

po::options_description described(const CommandSpec& command, bool flags) {
  po::options_description description;
  for (const OptionSpec& option : command.options) {
    if (option.kind != OptionKind::flag) {
      description.add_options()(option.key.c_str(), po::value<std::string>());
    } else if (flags) {
      description.add_options()(option.key.c_str(), po::bool_switch());
    }
  }
  return description;
}

/// Line by line, so that each assignment has its number.
std::vector<Assignment> parse_ini(const std::string& ini, const std::string& name,
                                  const CommandSpec& command) {
  const po::options_description description = described(command, /*flags=*/false);
  std::vector<Assignment> assignments;
  std::set<std::string> seen;
  std::istringstream lines(ini);
  std::string line, section;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string where = formatted("{}, line {}", name, number);
    try {
      std::istringstream one(section + "\n" + line);
      const po::parsed_options parsed = po::parse_config_file(one, description, true);
      if (const std::string text = trim(line.substr(0, line.find('#')));
          parsed.options.empty() && !text.empty())
        section = text;
      for (const po::option& option : parsed.options) {
        const std::string& key = option.string_key;
        if (is_retired(key)) continue;
        if (option.unregistered) unknown_key(key, where, command);
        if (!seen.insert(key).second)
          throw UsageError("{}: '{}' is set twice in this file; keep one of them", where, key);
        assignments.push_back({key, option.value.empty() ? "" : option.value.front(), where});
      }
    } catch (const po::error& error) {
      throw UsageError("{}: not an INI file of [section] and key = value lines ({})", where, error.what());
    }
  }
  return assignments;
}

std::string read_text_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw NotFoundError("--config: '{}' is a folder; name an INI file in it", path);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) throw NotFoundError("--config: cannot read '{}': check the name and the permissions", path);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in.eof() && in.fail()) throw NotFoundError("--config: '{}' is not a readable file", path);
  return text.str();
}

/// `--key=` as two words, the second one empty: Boost takes an empty value only so.
std::vector<std::string> with_empty_values(const CommandSpec& command,
                                           const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  for (const std::string& word : arguments) {
    const bool is_empty = word.starts_with("--") && word.find('=') == word.size() - 1 &&
                          !is_of_kind(command, word.substr(2, word.size() - 3), /*flag=*/true);
    words.push_back(is_empty ? word.substr(0, word.size() - 1) : word);
    if (is_empty) words.emplace_back();
  }
  return words;
}

CommandLine parse_command_line(const CommandSpec& command, const std::vector<std::string>& arguments) {
  po::options_description description = described(command, /*flags=*/true);
  description.add_options()("config", po::value<std::vector<std::string>>()->composing());
  description.add_options()("positional", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("positional", -1);
  // Long options only: a value such as -1 or a path is then never taken for a switch.
  const auto style = po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent |
                     po::command_line_style::long_allow_next;
  CommandLine line;
  std::map<std::string, std::string> given;
  try {
    const po::parsed_options parsed = po::command_line_parser(with_empty_values(command, arguments))
                                          .options(description)
                                          .positional(positional)
                                          .style(style)
                                          .run();
    for (const po::option& option : parsed.options) {
      const std::string value = option.value.empty() ? "" : option.value.front();
      if (option.string_key == "positional" || option.position_key >= 0) {
        line.positionals.insert(line.positionals.end(), option.value.begin(), option.value.end());
      } else if (option.string_key == "config") {
        line.configs.push_back(value);
      } else {
        const bool is_flag = is_of_kind(command, option.string_key, /*flag=*/true);
        std::string& before = given.try_emplace(option.string_key, value).first->second;
        // Scripts add their options to those of a person.
        if (before != value) {
          line.notes.push_back(formatted("--{} is given twice, as '{}' and as '{}'; the later one counts",
                                         option.string_key, before, value));
        }
        before = value;
        line.assignments.push_back({option.string_key, is_flag ? "true" : value, kCommandLine});
      }
    }
  } catch (const po::unknown_option& error) {
    std::string key = error.get_option_name();
    key.erase(0, key.find_first_not_of('-'));
    unknown_key(key, kCommandLine, command);
  } catch (const po::error& error) {
    throw UsageError("command line: {}; `dwgf {} --help` shows the usage", error.what(), command.name);
  }
  return line;
}

/// Whether flow.integrator is another spelling of this flow.method.
bool has_integrator(const std::string& method) {
  return method == "dwgf" || method == "affine" || method == "gibbs";
}

/// The method that the last of flow.method and flow.integrator names, or else the preset.
std::string chosen_method(const CommandSpec& command, const std::vector<Assignment>& assignments) {
  Settings single(command);
  std::string named;
  for (const auto& [key, value, where] : assignments) {
    if (key != "flow.method" && key != "flow.integrator" && key != "flow.preset") continue;
    single.set(key, value, where);
    if (key == "flow.method") named = value;
    if (key == "flow.integrator" && (named.empty() || has_integrator(named)))
      named = value == "adam" ? "dwgf" : value;
  }
  for (const auto& [key, value] : preset_values(single.text("flow.preset")))
    if (named.empty() && key == "flow.method") named = value;
  return named.empty() ? single.text("flow.method") : named;
}

/// Makes both keys say the method.
void spell_method(Settings& settings, const std::string& method) {
  settings.set_default("flow.method", method, "method");
  if (has_integrator(method))
    settings.set_default("flow.integrator", method == "dwgf" ? "adam" : method, "method");
}

/// The groups of values that single ones override: the preset's, as far as the method has a use for them,
/// then the method's.
void set_groups(Settings& settings, const std::string& method, const std::vector<Assignment>& assignments) {
  for (const auto& [key, value, where] : assignments)
    if (key == "flow.preset") settings.set(key, value, where);
  for (const auto& [key, value] : preset_values(settings.text("flow.preset")))
    if (applies(key, method)) settings.set_default(key, value, "preset");
  for (const auto& [key, value] : method_values(method)) settings.set_default(key, value, "method");
  spell_method(settings, method);
}

/// A job that is rerun names every key: what it does not change, it may name.
/// @param before  the single values
void refuse_what_does_not_apply(const Settings& settings, const Settings& before, const std::string& method,
                                const std::vector<Assignment>& assignments) {
  for (const auto& [key, value, where] : assignments) {
    if (applies(key, method) || settings.text(key) == before.text(key)) continue;
    throw UsageError(
        "{}: {} = '{}' has no meaning for flow.method = {}; leave it out, or take another method", where, key,
        value, method);
  }
}

void require_file_names(const CommandSpec& command, const std::vector<std::string>& names) {
  const auto given = static_cast<int>(names.size());
  const int most = command.positionals + command.optional_positionals;
  if (given >= command.positionals && (command.more_positionals || given <= most)) return;
  std::string found;
  for (const std::string& name : names) found += formatted("{}{}'", found.empty() ? ": '" : ", '", name);
  const char* bound = command.more_positionals ? "at least " : command.optional_positionals ? "at most " : "";
  throw UsageError("takes {}{}{} but got {}{}; usage: dwgf {} {}", bound, most,
                   most == 1 ? " file name" : " file names", given, found, command.name, command.arguments);
}

}  // namespace

Settings parse_settings(const CommandSpec& command, const std::vector<std::string>& arguments) {
  const CommandLine line = parse_command_line(command, arguments);
  std::vector<Assignment> assignments;
  for (const std::string& config : line.configs) {
    const std::vector<Assignment> from_file = parse_ini(read_text_file(config), config, command);
    assignments.insert(assignments.end(), from_file.begin(), from_file.end());
  }
  assignments.insert(assignments.end(), line.assignments.begin(), line.assignments.end());

  Settings settings(command);
  const bool is_job = command.input.type() == typeid(JobInput);
  const std::string method = is_job ? chosen_method(command, assignments) : "";
  if (is_job) set_groups(settings, method, assignments);
  const Settings before = settings;
  for (const auto& [key, value, where] : assignments) settings.set(key, value, where);
  if (is_job) {
    refuse_what_does_not_apply(settings, before, method, assignments);
    spell_method(settings, method);
  }
  settings.positionals = line.positionals;
  settings.notes = line.notes;
  require_file_names(command, settings.positionals);
  return settings;
}

Settings parse_job_text(const std::string& ini) {
  const CommandSpec& restore = *find_command("restore");
  Settings settings(restore);
  try {
    const std::vector<Assignment> assignments = parse_ini(ini, "the results file's job", restore);
    for (const auto& [key, value, where] : assignments) settings.set(key, value, where);
    spell_method(settings, chosen_method(restore, assignments));
  } catch (const UsageError& error) {
    throw DataError("its job is damaged, or another version of this program wrote it ({})", error.what());
  }
  return settings;
}

}  // namespace dwgf
