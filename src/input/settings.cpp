#include "input/settings.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/program_options.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {

namespace {

namespace po = boost::program_options;

std::vector<std::string> keys_of(const CommandSpec& command) {
  std::vector<std::string> keys;
  for (const OptionSpec& option : command.options) keys.push_back(option.key);
  return keys;
}

std::string suggestion(const std::string& key, const CommandSpec& command) {
  const std::string nearest = nearest_name(key, keys_of(command));
  return nearest.empty() ? concat("; `dwgf ", command.name, " --help` lists them all")
                         : concat("; the nearest known one is '", nearest, "'");
}

[[noreturn]] void unknown_key(const std::string& key, const std::string& where, const CommandSpec& command) {
  throw UsageError(concat(where, ": unknown option '", key, "'", suggestion(key, command)));
}

/// Splits section.key into the two parts; the section is empty where there is none.
std::pair<std::string, std::string> section_and_name(const std::string& key) {
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) return {"", key};
  return {key.substr(0, dot), key.substr(dot + 1)};
}

/// The line on which `key` stands in an INI text, counted from 1; 0 when it is not found.
int line_of(const std::string& ini, const std::string& key) {
  std::istringstream in(ini);
  std::string line, section;
  for (int number = 1; std::getline(in, line); ++number) {
    line = trim(line.substr(0, line.find('#')));
    if (line.size() > 2 && line.front() == '[' && line.back() == ']') {
      section = line.substr(1, line.size() - 2) + ".";
    } else if (section + trim(line.substr(0, line.find('='))) == key) {
      return number;
    }
  }
  return 0;
}

po::options_description described(const CommandSpec& command) {
  po::options_description description;
  for (const OptionSpec& option : command.options) {
    if (option.kind != OptionKind::flag)
      description.add_options()(option.key.c_str(), po::value<std::string>());
  }
  return description;
}

/// Key and value pairs of one INI text with the place they stood at.
struct Assignment {
  std::string key, value, where;
};

std::vector<Assignment> parse_ini(const std::string& ini, const std::string& name,
                                  const CommandSpec& command) {
  std::istringstream in(ini);
  std::vector<Assignment> assignments;
  try {
    const po::parsed_options parsed = po::parse_config_file(in, described(command), true);
    for (const po::option& option : parsed.options) {
      const std::string& key = option.string_key;
      const std::string where = concat(name, ", line ", line_of(ini, key));
      if (is_retired(key)) continue;
      if (option.unregistered) unknown_key(key, where, command);
      for (const Assignment& earlier : assignments) {
        if (earlier.key == key)
          throw UsageError(concat(where, ": '", key, "' is set twice in this file; keep one of them"));
      }
      assignments.push_back({key, option.value.empty() ? "" : option.value.front(), where});
    }
  } catch (const po::error& error) {
    throw UsageError(
        concat(name, ": not an INI file of [section] and key = value lines (", error.what(), ")"));
  }
  return assignments;
}

std::string read_text_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    throw NotFoundError(concat("--config: '", path, "' is a folder; name an INI file in it"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw NotFoundError(concat("--config: cannot read '", path, "': check the name and the permissions"));
  std::ostringstream text;
  text << in.rdbuf();
  if (!in.eof() && in.fail()) throw NotFoundError(concat("--config: '", path, "' is not a readable file"));
  return text.str();
}

std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::istringstream words(text);
  std::string word, out, line;
  while (words >> word) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > width) {
      out += line + "\n" + std::string(indent, ' ');
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return out + line;
}

}  // namespace

Settings::Settings(const CommandSpec& command) : command_(&command) {
  for (const OptionSpec& option : command.options)
    values_[option.key] = {option.default_value, "default", false};
}

const OptionSpec& Settings::spec(const std::string& key) const {
  const auto found = std::find_if(command_->options.begin(), command_->options.end(),
                                  [&](const OptionSpec& option) { return option.key == key; });
  if (found == command_->options.end()) throw InternalError("no option is named " + key);
  return *found;
}

void Settings::set(const std::string& key, const std::string& value, const std::string& where) {
  const OptionSpec& option = spec(key);
  const auto refuse = [&](const std::string& why) {
    throw UsageError(
        concat(where, ": ", key, " = '", value, "' ", why, "; allowed: ", allowed_values(option)));
  };
  if (value.find_first_of("#\n\r") != std::string::npos) {
    throw UsageError(concat(where, ": ", key,
                            " holds a '#' or a line break, which an INI file cannot carry; leave it out"));
  }
  switch (option.kind) {
    case OptionKind::choice:
      if (std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end()) {
        const std::string nearest = nearest_name(value, option.choices);
        refuse(nearest.empty() ? "is not known" : concat("is not known (did you mean '", nearest, "'?)"));
      }
      break;
    case OptionKind::integer: {
      if (std::find(option.choices.begin(), option.choices.end(), value) != option.choices.end()) break;
      std::uint64_t whole = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), whole);
      if (error != std::errc{} || end != value.data() + value.size())
        refuse("is not a whole number in range");
      if (static_cast<double>(whole) < option.least || static_cast<double>(whole) > option.most)
        refuse("is out of range");
      break;
    }
    case OptionKind::real: {
      if (std::find(option.choices.begin(), option.choices.end(), value) != option.choices.end()) break;
      const std::optional<double> number = parse_double(value);
      if (!number) refuse("is not a number");
      if (*number < option.least || *number > option.most) refuse("is out of range");
      break;
    }
    case OptionKind::text:
    case OptionKind::flag:
      break;
  }
  values_[key] = {value, where, true};
}

bool Settings::given(const std::string& key) const {
  return values_.at(key).given;
}
const std::string& Settings::text(const std::string& key) const {
  return values_.at(spec(key).key).text;
}
std::int64_t Settings::integer(const std::string& key) const {
  return static_cast<std::int64_t>(unsigned_integer(key));
}

std::uint64_t Settings::unsigned_integer(const std::string& key) const {
  const std::string& value = text(key);
  std::uint64_t whole = 0;
  std::from_chars(value.data(), value.data() + value.size(), whole);
  return whole;
}

double Settings::real(const std::string& key) const {
  return parse_double(text(key)).value_or(0.0);
}
bool Settings::flag(const std::string& key) const {
  return !text(key).empty();
}

std::string Settings::ini() const {
  std::ostringstream out;
  std::string current;
  for (const OptionSpec& option : command_->options) {
    if (option.kind == OptionKind::flag) continue;
    const auto [section, name] = section_and_name(option.key);
    if (section.empty()) continue;  // of this one run, not of the job
    if (section != current) out << (current.empty() ? "" : "\n") << "[" << section << "]\n";
    current = section;
    out << name << " = " << text(option.key) << "\n";
  }
  return out.str();
}

std::string Settings::identity() const {
  std::string lines;
  for (const OptionSpec& option : command_->options) {
    if (option.identity && option.key != "flow.preset")
      lines += concat(option.key, " = ", text(option.key), "\n");
  }
  return lines;
}

std::vector<std::string> Settings::differences(const Settings& other) const {
  std::vector<std::string> differing;
  for (const OptionSpec& option : command_->options) {
    // A preset is only a way to set the others, which are compared one by one.
    if (!option.identity || option.key == "flow.preset" || text(option.key) == other.text(option.key))
      continue;
    differing.push_back(
        concat(option.key, ": '", text(option.key), "' here, '", other.text(option.key), "' there"));
  }
  return differing;
}

Settings parse_settings(const CommandSpec& command, const std::vector<std::string>& arguments) {
  po::options_description description = described(command);
  for (const OptionSpec& option : command.options) {
    if (option.kind == OptionKind::flag) description.add_options()(option.key.c_str(), po::bool_switch());
  }
  description.add_options()("config", po::value<std::vector<std::string>>()->composing());
  description.add_options()("positional", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("positional", -1);

  std::vector<Assignment> assignments;
  std::vector<std::string> positionals, configs;
  try {
    // Long options only: a value such as -1 or a path is then never taken for a switch.
    const auto style = po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent |
                       po::command_line_style::long_allow_next;
    const po::parsed_options parsed =
        po::command_line_parser(arguments).options(description).positional(positional).style(style).run();
    for (const po::option& option : parsed.options) {
      const std::string value = option.value.empty() ? "" : option.value.front();
      if (option.string_key == "positional" || option.position_key >= 0) {
        positionals.insert(positionals.end(), option.value.begin(), option.value.end());
      } else if (option.string_key == "config") {
        configs.push_back(value);
      } else {
        const auto known = std::find_if(command.options.begin(), command.options.end(),
                                        [&](const OptionSpec& row) { return row.key == option.string_key; });
        const bool is_flag = known != command.options.end() && known->kind == OptionKind::flag;
        assignments.push_back({option.string_key, is_flag ? "true" : value, "command line"});
      }
    }
  } catch (const po::unknown_option& error) {
    std::string key = error.get_option_name();
    key.erase(0, key.find_first_not_of('-'));
    unknown_key(key, "command line", command);
  } catch (const po::error& error) {
    throw UsageError(
        concat("command line: ", error.what(), "; `dwgf ", command.name, " --help` shows the usage"));
  }

  std::vector<Assignment> ordered;
  for (const std::string& config : configs) {
    const std::vector<Assignment> from_file = parse_ini(read_text_file(config), config, command);
    ordered.insert(ordered.end(), from_file.begin(), from_file.end());
  }
  ordered.insert(ordered.end(), assignments.begin(), assignments.end());

  Settings settings(command);
  // The groups of values first: the preset's, as far as the method has a use for them, then the method's.
  for (const char* key : {"flow.method", "flow.preset"}) {
    const auto last = std::find_if(ordered.rbegin(), ordered.rend(),
                                   [&](const Assignment& assignment) { return assignment.key == key; });
    if (last != ordered.rend()) settings.set(last->key, last->value, last->where);
  }
  const auto method = settings.values_.find("flow.method");
  if (method != settings.values_.end()) {
    for (const auto& [key, value] : preset_values(settings.text("flow.preset"))) {
      if (applies(key, method->second.text)) settings.values_[key] = {value, "preset", false};
    }
    for (const auto& [key, value] : method_values(method->second.text))
      settings.values_[key] = {value, "method", false};
  }
  const auto before = settings.values_;
  for (const Assignment& assignment : ordered)
    settings.set(assignment.key, assignment.value, assignment.where);

  // A job that is rerun names every key: what it does not change, it may name.
  for (const Assignment& assignment : ordered) {
    if (method == settings.values_.end() || applies(assignment.key, method->second.text)) continue;
    if (settings.text(assignment.key) == before.at(assignment.key).text) continue;
    throw UsageError(concat(assignment.where, ": ", assignment.key, " = '", assignment.value,
                            "' has no meaning for flow.method = ", method->second.text,
                            "; leave it out, or take another method"));
  }

  settings.positionals = positionals;
  const auto names_given = static_cast<int>(positionals.size());
  if (command.more_positionals ? names_given < command.positionals : names_given != command.positionals) {
    std::string found;
    for (const std::string& name : positionals) found += concat(found.empty() ? ": '" : ", '", name, "'");
    throw UsageError(concat("takes ", command.more_positionals ? "at least " : "", command.positionals,
                            command.positionals == 1 ? " file name" : " file names", " but got ",
                            positionals.size(), found, "; usage: dwgf ", command.name, " ",
                            command.arguments));
  }
  return settings;
}

Settings parse_job_text(const std::string& ini) {
  const CommandSpec& restore = *find_command("restore");
  Settings settings(restore);
  try {
    for (const Assignment& assignment : parse_ini(ini, "the results file's job", restore)) {
      settings.set(assignment.key, assignment.value, assignment.where);
    }
  } catch (const UsageError& error) {
    throw DataError(
        concat("its job is damaged, or another version of this program wrote it (", error.what(), ")"));
  }
  return settings;
}

std::string help_text() {
  std::ostringstream out;
  out << "dwgf: image restoration and other inverse problems y = A(x) + noise with a latent diffusion "
         "prior,\n"
         "by a Wasserstein gradient flow of interacting particles (arXiv 2509.19276), on one core or a "
         "cluster.\n\n"
         "usage: dwgf COMMAND [--config FILE]... [--section.key value]...\n"
         "       mpirun -np 4 dwgf restore --config jobs/quickstart.ini\n\ncommands:\n";
  for (const CommandSpec& command : command_table()) {
    out << "  " << command.name << std::string(12 - command.name.size(), ' ')
        << wrapped(command.summary, 14, 100) << "\n";
  }
  out << "\n`dwgf COMMAND --help` explains a command; `dwgf --version` prints the version.\n";
  return out.str();
}

std::string help_text(const CommandSpec& command) {
  std::ostringstream out;
  out << "usage: dwgf " << command.name << " " << command.arguments << "\n\n"
      << wrapped(command.summary, 0, 100) << "\n";
  if (command.name == "restore") {
    out << "\nOptions come from INI files ([flow], then steps = 50) and the command line; later files win, "
           "the command line last.\n";
  }
  std::string current = "-";
  for (const OptionSpec& option : command.options) {
    const auto [section, name] = section_and_name(option.key);
    if (section != current) out << "\n";
    current = section;
    const bool is_flag = option.kind == OptionKind::flag;
    const std::string head = concat("  --", option.key, is_flag ? "" : " VALUE");
    // A long key has a line of its own, so that the explanations stay in their column.
    out << head << (head.size() < 32 ? std::string(32 - head.size(), ' ') : "\n" + std::string(32, ' '))
        << wrapped(option.help, 32, 110) << "\n";
    if (is_flag) continue;
    const std::string allowed = allowed_values(option);
    std::string details = concat("default: ", option.default_value.empty() ? "none" : option.default_value);
    if (!allowed.empty()) details += concat("; allowed: ", allowed);
    out << std::string(32, ' ') << wrapped(details, 32, 110) << "\n";
  }
  out << "\n  --help                        this text\n";
  return out.str();
}

}  // namespace dwgf
