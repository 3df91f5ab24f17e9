#include "job/calibration_parts.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"
#include "comm/throw_on_all.hpp"
#include "store/results.hpp"

namespace dwgf {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMagic = 0x3172'6c61'6366'6764;  // a file of this kind, of this machine's byte order

/// Before the blocks' marks and the sums.
struct PartHeader {
  std::uint64_t magic = kMagic;
  std::uint64_t identity = 0;
  std::uint64_t blocks = 0, numbers = 0;
  std::uint64_t checksum = 0;  // of what follows
};

template <class Value>
std::span<const std::byte> bytes_of(const std::vector<Value>& values) {
  return std::as_bytes(std::span(values));
}

std::uint64_t checksum(const CalibrationPart& part) {
  return (std::uint64_t{crc32_of(bytes_of(part.done))} << 32) | crc32_of(bytes_of(part.sums));
}

std::int64_t count(const CalibrationPart& part) {
  return std::ranges::count(part.done, std::uint8_t{1});
}

bool disjoint(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  for (std::size_t k = 0; k < a.size(); ++k)
    if (a[k] && b[k]) return false;
  return true;
}

void mark(std::vector<std::uint8_t>& done, const std::vector<std::uint8_t>& more) {
  for (std::size_t k = 0; k < done.size(); ++k) done[k] |= more[k];
}

}  // namespace

CalibrationParts::CalibrationParts(std::string file, std::uint64_t identity, std::size_t blocks,
                                   std::size_t numbers)
    : file_(std::move(file)), identity_(identity), blocks_(blocks), numbers_(numbers) {}

std::vector<std::string> CalibrationParts::present() const {
  const std::string stem = fs::path(file_).filename().string() + ".part-";
  std::vector<std::string> paths;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory_of(file_), ignored)) {
    const std::string name = entry.path().filename().string();
    const bool numbered = name.starts_with(stem) && name.size() > stem.size() &&
                          name.find_first_not_of("0123456789", stem.size()) == std::string::npos;
    if (numbered) paths.push_back(entry.path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

CalibrationPart CalibrationParts::read(const std::string& path) const {
  const PosixFile file = PosixFile::open_for_reading(path);
  PartHeader header{.magic = 0};
  if (file.size() >= sizeof header) file.read(0, std::as_writable_bytes(std::span(&header, 1)));
  const bool same = header.magic == kMagic && header.identity == identity_ && header.blocks == blocks_ &&
                    header.numbers == numbers_;
  if (!same) {
    throw DataError(
        "{} was left by another calibration (of other images, another prior, or with other options); remove "
        "it, or write to another file by --to",
        path);
  }
  CalibrationPart part{std::vector<std::uint8_t>(blocks_), std::vector<std::int64_t>(numbers_)};
  file.read(sizeof header, std::as_writable_bytes(std::span(part.done)));
  file.read(sizeof header + blocks_, std::as_writable_bytes(std::span(part.sums)));
  if (checksum(part) != header.checksum)
    throw DataError("{} does not agree with its checksum; remove it, and its images are measured again",
                    path);
  return part;
}

CalibrationPart CalibrationParts::take_up(Collective& ranks, std::vector<std::uint8_t>& done) {
  done.assign(blocks_, 0);
  CalibrationPart own{std::vector<std::uint8_t>(blocks_), std::vector<std::int64_t>(numbers_)};
  std::string names;
  throw_on_all<CollectiveError>(ranks, [&] {
    if (ranks.rank() != 0) return;
    // The largest first: where a run was killed between keeping a part and removing what it had taken up, the
    // latter's blocks are in the former.
    std::vector<std::pair<std::int64_t, std::string>> found;
    for (const std::string& path : present()) found.emplace_back(-count(read(path)), path);
    std::ranges::sort(found);
    for (const auto& [size, path] : found) names += path + "\n";
  });
  for (const std::string& path : split(ranks.broadcast_text(names, 0), '\n')) {
    if (path.empty()) continue;
    CalibrationPart part;
    throw_on_all<CollectiveError>(ranks, [&] { part = read(path); });
    if (!disjoint(done, part.done)) continue;
    mark(done, part.done);
    // A rank that is to write a file of this name takes up the one that is there.
    const auto number = parse_int64(path.substr(path.rfind('-') + 1));
    if (number.value_or(0) % ranks.size() != ranks.rank()) continue;
    mark(own.done, part.done);
    for (std::size_t k = 0; k < numbers_; ++k) own.sums[k] += part.sums[k];
    taken_up_.push_back(path);
  }
  return own;
}

void CalibrationParts::keep(int rank, const CalibrationPart& part) {
  const PartHeader header{
      .identity = identity_, .blocks = blocks_, .numbers = numbers_, .checksum = checksum(part)};
  const std::string path = formatted("{}.part-{}", file_, rank);
  replace_file(path, {std::as_bytes(std::span(&header, 1)), bytes_of(part.done), bytes_of(part.sums)});
  std::error_code ignored;
  for (const std::string& other : std::exchange(taken_up_, {}))
    if (!fs::equivalent(other, path, ignored)) fs::remove(other, ignored);
}

void CalibrationParts::remove() const {
  std::error_code ignored;
  for (const std::string& path : present()) fs::remove(path, ignored);
}

}  // namespace dwgf
