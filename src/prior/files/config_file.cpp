#include "prior/files/config_file.hpp"

#include <algorithm>
#include <cmath>

#include <dwgf/base/error.hpp>

#include "prior/files/json_file.hpp"

namespace dwgf {
namespace {

std::string either(const std::vector<std::string>& allowed) {
  std::string out;
  for (const auto& one : allowed) out += (out.empty() ? "" : ", ") + one;
  return out;
}

std::string range(auto least, auto most) {
  return formatted("{} ... {}", least, most);
}

}  // namespace

ConfigFile::ConfigFile(const std::filesystem::path& file, std::initializer_list<const char*> classes)
    : file_(file), content_(read_json_object(file)) {
  const std::vector<std::string> allowed(classes.begin(), classes.end());
  text("_class_name", allowed.front(), allowed);
}

void ConfigFile::fail(const char* key, const std::string& found, const std::string& allowed) const {
  throw DataError("prior: {}: '{}' is {}; supported: {}", file_.string(), key, found, allowed);
}

nlohmann::json ConfigFile::value(const char* key) const {
  const auto found = content_.find(key);
  return found == content_.end() ? nlohmann::json() : *found;
}

bool ConfigFile::has(const char* key) const {
  return !value(key).is_null();
}

bool ConfigFile::is_null(const char* key) const {
  return content_.contains(key) && value(key).is_null();
}

std::int64_t ConfigFile::integer_of(const char* key, const nlohmann::json& found, std::int64_t least,
                                    std::int64_t most) const {
  // Some files hold 1.0 for 1. Larger than any bound in use, and not a number, end up outside the range.
  double number = std::nan("");
  if (found.is_number()) number = found.get<double>();
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) ||
      number != std::floor(number)) {
    fail(key, brief(found), formatted("whole numbers {}", range(least, most)));
  }
  return static_cast<std::int64_t>(number);
}

std::int64_t ConfigFile::integer(const char* key, std::int64_t missing, std::int64_t least,
                                 std::int64_t most) const {
  return has(key) ? integer_of(key, value(key), least, most) : missing;
}

double ConfigFile::real(const char* key, double missing, double least, double most) const {
  const auto found = value(key);
  if (found.is_null()) return missing;
  const double number = found.is_number() ? found.get<double>() : std::nan("");
  if (!(number >= least && number <= most))
    fail(key, brief(found), formatted("numbers {}", range(least, most)));
  return number;
}

bool ConfigFile::boolean(const char* key, bool missing) const {
  const auto found = value(key);
  if (found.is_null()) return missing;
  if (!found.is_boolean()) fail(key, brief(found), "true, false");
  return found.get<bool>();
}

std::string ConfigFile::text(const char* key, const std::string& missing,
                             const std::vector<std::string>& allowed) const {
  const auto found = value(key);
  if (found.is_null()) return missing;
  if (!found.is_string() || std::ranges::find(allowed, found.get<std::string>()) == allowed.end()) {
    fail(key, brief(found), either(allowed));
  }
  return found.get<std::string>();
}

std::vector<std::int64_t> ConfigFile::integers(const char* key, std::int64_t missing, std::size_t count,
                                               std::int64_t least, std::int64_t most) const {
  const auto found = value(key);
  if (!found.is_array()) return std::vector<std::int64_t>(count, integer(key, missing, least, most));
  if (found.size() != count)
    fail(key, brief(found), formatted("one number, or one for each of the {} levels", count));
  return list(key, {}, count, least, most);
}

std::vector<std::int64_t> ConfigFile::list(const char* key, const std::vector<std::int64_t>& missing,
                                           std::size_t longest, std::int64_t least, std::int64_t most,
                                           std::size_t shortest) const {
  const auto found = value(key);
  if (found.is_null()) return missing;
  if (!found.is_array() || found.size() < shortest || found.size() > longest) {
    fail(key, brief(found), formatted("lists of {} ... {} whole numbers", shortest, longest));
  }
  std::vector<std::int64_t> out;
  for (const auto& item : found) out.push_back(integer_of(key, item, least, most));
  return out;
}

std::vector<std::string> ConfigFile::texts(const char* key, const std::vector<std::string>& missing,
                                           std::size_t count, const std::vector<std::string>& allowed) const {
  const auto found = value(key);
  std::vector<std::string> out = missing;
  if (!found.is_null()) {
    out.clear();
    if (!found.is_array()) fail(key, brief(found), "a list");
    for (const auto& item : found) {
      if (!item.is_string() || std::ranges::find(allowed, item.get<std::string>()) == allowed.end()) {
        fail(key, brief(item), either(allowed));
      }
      out.push_back(item.get<std::string>());
    }
  }
  if (out.size() != count)
    fail(key, formatted("a list of {}", out.size()), formatted("one for each of the {} levels", count));
  return out;
}

std::vector<float> ConfigFile::reals(const char* key, std::size_t longest) const {
  const auto found = value(key);
  if (found.is_null()) return {};
  if (!found.is_array() || found.empty() || found.size() > longest) {
    fail(key, brief(found), formatted("lists of 1 ... {} numbers", longest));
  }
  std::vector<float> out;
  for (const auto& item : found) {
    if (!item.is_number()) fail(key, brief(item), "a list of numbers");
    out.push_back(static_cast<float>(item.get<double>()));
  }
  return out;
}

void ConfigFile::require(const char* key, const nlohmann::json& only) const {
  const auto found = value(key);
  if (!found.is_null() && found != only) fail(key, brief(found), brief(only));
}

void ConfigFile::check_divides(const char* key, std::int64_t divisor, std::int64_t channels) const {
  if (channels % divisor != 0)
    fail(key, formatted("{}", divisor), formatted("divisors of the number of channels, {}", channels));
}

std::string config_class(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  const nlohmann::json content = read_json_object(path);
  const auto found = content.find("_class_name");
  return found != content.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace dwgf
