/// JSON from files that nobody vouches for. Private to the prior layer.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace dwgf {

/// Parses a JSON object. Throws DataError, "`where` ...", for anything else, for nesting deeper than 32 and
/// for a key that occurs twice in the outermost object (parsers differ in which of them they take).
nlohmann::json parse_json_object(std::string_view text, const std::string& where);

/// The same of a whole file of at most 64 MiB. Throws NotFoundError or IoError too.
nlohmann::json read_json_object(const std::filesystem::path& file);

/// A value as short text for a message.
std::string brief(const nlohmann::json& value);
/// A name from a file as short, printable text for a message.
std::string shortened(std::string_view name, std::size_t most = 120);

}  // namespace dwgf
