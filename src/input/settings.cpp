#include "input/settings.hpp"

#include <algorithm>
#include <sstream>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "input/detail/rows.hpp"

namespace dwgf {

namespace {

/// Why a value is none of an option, in words that follow it; empty where it is one.
std::string objection(const OptionSpec& option, const std::string& value) {
  const bool is_word = std::find(option.choices.begin(), option.choices.end(), value) != option.choices.end();
  std::optional<double> number;
  if (is_word) {
    return "";
  } else if (option.kind == OptionKind::choice) {
    const std::string nearest = nearest_name(value, option.choices);
    return nearest.empty() ? "is not known" : formatted("is not known (did you mean '{}'?)", nearest);
  } else if (option.kind == OptionKind::integer) {
    number = parse_integer<std::uint64_t>(value);
    if (!number) return "is not a whole number in range";
  } else if (option.kind == OptionKind::real) {
    number = parse_double(value);
    if (!number) return "is not a number";
  }
  return number && (*number < option.least || *number > option.most) ? "is out of range" : "";
}

/// Whether two runs into one file must agree in it. A preset is only a way to set the others, which are
/// compared one by one.
bool decides(const OptionSpec& option) {
  return option.identity && option.key != "flow.preset";
}

}  // namespace

Settings::Settings(const CommandSpec& command) : command_(&command), input_(command.input) {
  for (const OptionSpec& option : command.options) values_[option.key] = {option.default_value, false};
}

const OptionSpec& Settings::spec(const std::string& key) const {
  const auto found = std::find_if(command_->options.begin(), command_->options.end(),
                                  [&](const OptionSpec& option) { return option.key == key; });
  if (found == command_->options.end()) throw InternalError("no option is named " + key);
  return *found;
}

void Settings::set_default(const std::string& key, const std::string& value, const std::string& where) {
  const OptionSpec& option = spec(key);
  if (value.find_first_of("#\n\r") != std::string::npos) {
    throw UsageError("{}: {} holds a '#' or a line break, which an INI file cannot carry; leave it out",
                     where, key);
  }
  std::string why = objection(option, value);
  if (why.empty() && !option.assign(input_, value)) why = "is not understood";
  if (!why.empty()) {
    throw UsageError("{}: {} = '{}' {}; allowed: {}", where, key, value, why, allowed_values(option));
  }
  values_[key] = {value, false};
}

void Settings::set(const std::string& key, const std::string& value, const std::string& where) {
  set_default(key, value, where);
  values_[key].given = true;
}

bool Settings::given(const std::string& key) const {
  return values_.at(key).given;
}
const std::string& Settings::text(const std::string& key) const {
  return values_.at(spec(key).key).text;
}

std::string Settings::ini() const {
  std::ostringstream out;
  std::string current;
  for (const OptionSpec& option : command_->options) {
    const std::size_t dot = option.key.find('.');
    if (dot == std::string::npos) continue;  // of this one run, not of the job
    const std::string section = option.key.substr(0, dot);
    if (section != current) out << (current.empty() ? "" : "\n") << "[" << section << "]\n";
    current = section;
    out << option.key.substr(dot + 1) << " = " << text(option.key) << "\n";
  }
  return out.str();
}

std::string Settings::listing() const {
  std::string lines;
  for (const OptionSpec& option : command_->options)
    lines += formatted("{} = {}\n", option.key, text(option.key));
  return lines;
}

std::string Settings::identity() const {
  std::string lines;
  for (const OptionSpec& option : command_->options) {
    const std::string& value = text(option.key);
    if (!decides(option) || (option.later && value == option.default_value)) continue;
    // The methods that flow.integrator can spell are told apart by it alone.
    const bool spelled = option.key == "flow.method" && (value == "affine" || value == "gibbs");
    lines += formatted("{} = {}\n", option.key, spelled ? "dwgf" : value);
  }
  return lines;
}

std::vector<std::string> Settings::differences(const Settings& other) const {
  std::vector<std::string> differing;
  for (const OptionSpec& option : command_->options) {
    const std::string &own = text(option.key), &others = other.text(option.key);
    if (decides(option) && own != others)
      differing.push_back(formatted("{}: '{}' here, '{}' there", option.key, own, others));
  }
  return differing;
}

}  // namespace dwgf
