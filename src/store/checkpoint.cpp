#include "store/checkpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

#include <sys/stat.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"
#include "store/results.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kGenerations = 2;

struct Header {
  char magic[8] = {'d', 'w', 'g', 'f', 'c', 'h', 'k', '1'};
  std::uint32_t crc32 = 0;  // of all that follows it
  std::uint32_t reserved = 0;
  std::uint64_t job = 0, image = 0;
  std::int64_t step = 0, shared_bytes = 0, pieces = 0;
};
struct PieceHeader {
  std::int64_t number = 0, bytes = 0;
};
constexpr std::size_t kCheckedFrom = offsetof(Header, reserved);

struct Name {
  std::uint64_t image = 0;
  std::int64_t step = 0, first_piece = 0;

  std::string text() const {
    char name[64];
    std::snprintf(name, sizeof name, "%016" PRIx64 ".%08" PRId64 ".%08" PRId64, image, step, first_piece);
    return name;
  }
  static std::optional<Name> parse(const std::string& text) {
    Name name;
    const char *at = text.data(), *end = at + text.size();
    const auto number = [&](auto& value, int base) {
      const auto [next, error] = std::from_chars(at, end, value, base);
      const bool good = error == std::errc{} && (next == end || *next == '.');
      at = next == end ? end : next + 1;
      return good;
    };
    if (!number(name.image, 16) || !number(name.step, 10) || !number(name.first_piece, 10))
      return std::nullopt;
    return name.text() == text ? std::optional(name) : std::nullopt;
  }
};

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void append(std::vector<std::byte>& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

/// A whole file, checked.
class Part {
 public:
  Part(const std::string& path, std::uint64_t job, const Name& name) : path_(path) {
    const PosixFile file = PosixFile::open_for_reading(path);
    bytes_.resize(file.size());
    file.read(0, bytes_);
    Header header;
    const Header known;
    take(std::as_writable_bytes(std::span(&header, 1)));
    if (std::memcmp(header.magic, known.magic, sizeof known.magic) != 0)
      throw DataError("{} is not a checkpoint", path);
    if (header.crc32 != crc32_of(std::span(bytes_).subspan(kCheckedFrom)))
      throw DataError("{} is damaged (its checksum is wrong)", path);
    if (header.job != job || header.image != name.image || header.step != name.step)
      throw DataError("{} belongs to another job", path);
    snapshot.step = header.step;
    snapshot.shared.resize(bounded(header.shared_bytes));
    take(snapshot.shared);
    for (std::int64_t k = 0; k < header.pieces; ++k) {
      PieceHeader piece;
      take(std::as_writable_bytes(std::span(&piece, 1)));
      snapshot.pieces.push_back({piece.number, std::vector<std::byte>(bounded(piece.bytes))});
      take(snapshot.pieces.back().bytes);
    }
  }

  Snapshot snapshot;

 private:
  std::size_t bounded(std::int64_t size) const {
    if (size < 0 || static_cast<std::uint64_t>(size) > bytes_.size() - at_)
      throw DataError("{} is damaged (it ends too early)", path_);
    return static_cast<std::size_t>(size);
  }
  void take(std::span<std::byte> out) {
    bounded(static_cast<std::int64_t>(out.size()));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), out.size(), out.begin());
    at_ += out.size();
  }

  std::string path_;
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace

std::string Checkpoints::folder(const std::string& results_path) {
  return results_path + ".checkpoint";
}

Checkpoints::Checkpoints(const std::string& results_path, std::uint64_t image, std::uint64_t job,
                         std::int64_t pieces)
    : folder_(folder(results_path)), image_(image), job_(job), pieces_(pieces) {}

void Checkpoints::write(const Snapshot& snapshot) {
  if (snapshot.pieces.empty()) return;
  Header header;
  header.job = job_;
  header.image = image_;
  header.step = snapshot.step;
  header.shared_bytes = static_cast<std::int64_t>(snapshot.shared.size());
  header.pieces = static_cast<std::int64_t>(snapshot.pieces.size());
  std::vector<std::byte> bytes;
  append(bytes, std::as_bytes(std::span(&header, 1)));
  append(bytes, snapshot.shared);
  for (const Snapshot::Piece& piece : snapshot.pieces) {
    const PieceHeader piece_header{piece.number, static_cast<std::int64_t>(piece.bytes.size())};
    append(bytes, std::as_bytes(std::span(&piece_header, 1)));
    append(bytes, piece.bytes);
  }
  const std::uint32_t crc = crc32_of(std::span(bytes).subspan(kCheckedFrom));
  std::memcpy(bytes.data() + offsetof(Header, crc32), &crc, sizeof crc);

  if (mkdir(folder_.c_str(), 0777) != 0 && errno != EEXIST)
    throw IoError("the folder {} for checkpoints cannot be made: {}", folder_, system_text(errno));
  const std::string path =
      (fs::path(folder_) / Name{image_, snapshot.step, snapshot.pieces.front().number}.text()).string();
  replace_file(path, {bytes});
  std::erase(written_, path);
  written_.push_back(path);
}

void Checkpoints::remove_older() {
  while (written_.size() > kGenerations) {
    std::remove(written_.front().c_str());
    written_.erase(written_.begin());
  }
}

std::vector<std::int64_t> Checkpoints::steps() const {
  std::set<std::int64_t, std::greater<>> steps;
  for (const std::string& text : names_in(folder_)) {
    if (const auto name = Name::parse(text); name && name->image == image_) steps.insert(name->step);
  }
  return {steps.begin(), steps.end()};
}

Snapshot Checkpoints::read(std::int64_t step, std::int64_t first, std::int64_t count) const {
  std::vector<Name> names;
  for (const std::string& text : names_in(folder_)) {
    if (const auto name = Name::parse(text); name && name->image == image_ && name->step == step)
      names.push_back(*name);
  }
  Snapshot snapshot{step, {}, {}};
  std::map<std::int64_t, std::vector<std::byte>> pieces;
  // Backwards from the last file that can have any: mostly one file, this rank's of before, has them all.
  for (std::size_t k = names.size(); k-- > 0;) {
    const bool complete = !snapshot.shared.empty() && static_cast<std::int64_t>(pieces.size()) == count;
    if (complete) break;
    if (k > 0 && names[k].first_piece >= first + count) continue;
    Part part((fs::path(folder_) / names[k].text()).string(), job_, names[k]);
    snapshot.shared = std::move(part.snapshot.shared);
    for (Snapshot::Piece& piece : part.snapshot.pieces) {
      if (piece.number >= first && piece.number < first + count)
        pieces.try_emplace(piece.number, std::move(piece.bytes));
    }
  }
  if (snapshot.shared.empty()) throw DataError("no file in {} is of step {}", folder_, step);
  for (std::int64_t number = first; number < first + count; ++number) {
    const auto piece = pieces.find(number);
    if (piece == pieces.end())
      throw DataError("no file in {} has piece {} of {} of step {}", folder_, number, pieces_, step);
    snapshot.pieces.push_back({number, std::move(piece->second)});
  }
  return snapshot;
}

void Checkpoints::remove() const {
  std::error_code ignored;
  for (const std::string& text : names_in(folder_)) {
    if (const auto name = Name::parse(text); name && name->image == image_)
      fs::remove(fs::path(folder_) / text, ignored);
  }
  std::remove(folder_.c_str());  // only if it is empty
}

void Checkpoints::keep_only(const std::string& results_path, std::span<const std::uint64_t> images) {
  const std::string folder = Checkpoints::folder(results_path);
  const std::set<std::uint64_t> wanted(images.begin(), images.end());
  std::error_code ignored;
  for (const std::string& text : names_in(folder)) {
    const bool half = text.ends_with(kPartSuffix);
    const auto name = Name::parse(half ? text.substr(0, text.size() - kPartSuffix.size()) : text);
    if (name && (half || !wanted.contains(name->image))) fs::remove(fs::path(folder) / text, ignored);
  }
  std::remove(folder.c_str());
}

}  // namespace dwgf
