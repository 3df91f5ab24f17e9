/// Text as people and files write it: strict numbers, near misses of names, sizes and durations. Independent
/// of the locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dwgf {

/// The candidate with the smallest Damerau-Levenshtein distance to `word` (insert, delete, replace, swap two
/// neighbours; optimal string alignment; upper and lower case are equal), the first of several. Empty where
/// that distance is above a third of the longer of the two, rounded up: then nothing is near enough to be
/// what was meant.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

/// The whole text as a finite decimal number; nothing for anything else (blanks, a trailing unit, `nan`,
/// `inf`, out of range).
std::optional<double> parse_double(std::string_view text);

/// The whole text as a decimal integer; nothing for anything else.
std::optional<std::int64_t> parse_int64(std::string_view text);

/// The parts between delimiters, empty ones included: always one more than there are delimiters.
std::vector<std::string> split(std::string_view text, char delimiter);

/// Without blanks, tabs and line ends at both ends.
std::string trim(std::string_view text);

/// A size for people: "17 B", "1.5 GiB".
std::string human_bytes(std::uint64_t bytes);

/// A duration for people: "850 ms", "42 s", "5 min 03 s", "1 h 05 min", "2 d 03 h"; "unknown" where it is
/// negative or not finite.
std::string human_duration(double seconds);

}  // namespace dwgf
