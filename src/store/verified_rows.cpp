#include "store/verified_rows.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"

namespace dwgf {
namespace {

using Json = nlohmann::json;

std::string note_path(const std::string& results) {
  return results + ".verified";
}

/// [device, inode] and, where it counts, the time of its last change; nothing for a file that is not there.
std::optional<Json> identity_of(const std::string& path, bool with_time) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return std::nullopt;
  Json identity = {found.st_dev, found.st_ino};
  if (with_time) {
    identity.push_back(found.st_mtim.tv_sec);
    identity.push_back(found.st_mtim.tv_nsec);
  }
  return identity;
}

/// In the order of the files; an empty list where one is not there.
Json identities_of(const std::vector<ResultsShard>& files, bool with_time) {
  Json all = Json::array();
  for (const ResultsShard& file : files) {
    std::optional<Json> identity = identity_of(file.path, with_time);
    if (!identity) return Json::array();
    all.push_back(std::move(*identity));
  }
  return all;
}

/// [first, count] of each run of rows that are verified.
Json runs_of(const std::vector<bool>& verified) {
  Json runs = Json::array();
  for (std::size_t k = 0; k < verified.size();) {
    std::size_t end = k;
    while (end < verified.size() && verified[end]) ++end;
    if (end > k) runs.push_back({k, end - k});
    k = std::max(end, k + 1);
  }
  return runs;
}

Json read_note(const std::string& path) {
  const PosixFile file = PosixFile::open_for_reading(path);
  std::string text(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return Json::parse(text);
}

}  // namespace

std::vector<bool> noted_verified_rows(const ResultsFile& results) {
  std::vector<bool> verified(results.layout().images.size());
  try {
    const Json note = read_note(note_path(results.path()));
    const bool writing = note.at("writing");
    const Json found = identities_of(results.shards(), !writing);
    if (found.empty() || note.at("files") != found || note.at("rows") != verified.size()) return verified;
    for (const Json& run : note.at("verified")) {
      const std::size_t first = run.at(0), count = run.at(1);
      for (std::size_t k = first; k < std::min(first + count, verified.size()); ++k) verified[k] = true;
    }
  } catch (const Error&) {  // no note, or one that cannot be read
    verified.assign(verified.size(), false);
  } catch (const Json::exception&) {  // not one of ours
    verified.assign(verified.size(), false);
  }
  return verified;
}

void note_verified_rows(const std::string& results, const std::vector<ResultsShard>& files,
                        const std::vector<bool>& verified, NoteTime time) {
  const bool writing = time == NoteTime::before_writing;
  const Json note = {{"writing", writing},
                     {"rows", verified.size()},
                     {"files", identities_of(files, !writing)},
                     {"verified", runs_of(verified)}};
  const std::string text = note.dump() + '\n', path = note_path(results);
  try {
    replace_file(path, {std::as_bytes(std::span(text))});
  } catch (const IoError&) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
}

}  // namespace dwgf
