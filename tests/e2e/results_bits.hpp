/// The bits of a results file, for comparing runs that have to give the same ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace dwgf::test {

/// Everything about one image but the time it took: every dataset's row by the dataset's path, and the
/// records as text.
using ImageBits = std::map<std::string, std::vector<std::byte>>;
/// Images by their identity, so that slices and other orders can be compared.
using ResultsBits = std::map<std::uint64_t, ImageBits>;

ResultsBits bits_of(const std::filesystem::path& results);
/// The images of several files together.
ResultsBits bits_of_all(const std::vector<std::filesystem::path>& results);
/// The first difference in words; "" when all is equal.
std::string difference(const ResultsBits& found, const ResultsBits& expected);

/// How many images are committed; -1 while there is no file yet.
std::int64_t committed(const std::filesystem::path& results);
/// The identities of the images that are committed and agree with their checksum; every committed one that
/// does not is a failure of the test.
std::vector<std::uint64_t> intact(const std::filesystem::path& results);

}  // namespace dwgf::test
