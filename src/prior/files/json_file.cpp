#include "prior/files/json_file.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <dwgf/base/error.hpp>

#include "prior/files/mapped_file.hpp"

namespace dwgf {
namespace {

constexpr int kMostNesting = 32;
constexpr std::size_t kMostBytes = std::size_t{64} << 20;

/// The deepest nesting of brackets outside of strings; looked at before parsing, since depth costs a parser
/// stack or memory.
int nesting(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

}  // namespace

std::string shortened(std::string_view name, std::size_t most) {
  std::string out;
  for (const char c : name.substr(0, most)) out += (c >= 32 && c < 127) ? c : '?';
  if (name.size() > most) out += "...";
  return out;
}

std::string brief(const nlohmann::json& value) {
  return shortened(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

nlohmann::json parse_json_object(std::string_view text, const std::string& where) {
  if (nesting(text) > kMostNesting) {
    throw DataError("{} is nested more than {} levels deep, so it is not what it claims to be", where,
                    kMostNesting);
  }
  std::set<std::string> keys;
  std::string repeated;
  const auto watch_keys = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (depth == 1 && event == nlohmann::json::parse_event_t::key) {
      auto key = parsed.get<std::string>();
      if (!keys.insert(key).second) repeated = key;
    }
    return true;
  };
  nlohmann::json parsed;
  try {
    parsed = nlohmann::json::parse(text.begin(), text.end(), watch_keys);
  } catch (const nlohmann::json::exception& error) {
    throw DataError("{} is not valid JSON ({}); the file may be damaged: fetch it again", where,
                    shortened(error.what(), 200));
  }
  if (!parsed.is_object()) throw DataError("{} is not a JSON object, but {}", where, brief(parsed));
  if (!repeated.empty()) throw DataError("{} has the key '{}' more than once", where, shortened(repeated));
  return parsed;
}

nlohmann::json read_json_object(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  if (bytes.size() > kMostBytes) {
    throw DataError("{} has {} bytes, too many for a configuration (at most {})", file.string(), bytes.size(),
                    kMostBytes);
  }
  return parse_json_object({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

}  // namespace dwgf
