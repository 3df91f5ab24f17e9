#include "prior/files/file_hashes.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "prior/files/json_file.hpp"
#include "prior/files/sha256.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::int64_t kClockDoubt = 2'000'000'000;  // [ns], the coarsest timestamps in use (FAT)

std::int64_t now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

bool is_sha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// Of the entries as they are written.
std::string seal(const nlohmann::json& files) {
  return sha256_of(files.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

}  // namespace

FileHashes::FileHashes(fs::path memory) : memory_(std::move(memory)) {
  std::error_code error;
  if (memory_.empty() || !fs::exists(memory_, error)) return;
  try {
    const nlohmann::json content = read_json_object(memory_);
    if (content.at("format") != kFormat) return;  // another version's
    const nlohmann::json& files = content.at("files");
    if (content.at("sha256") != seal(files)) throw DataError("its contents and its checksum differ");
    for (const nlohmann::json& entry : files) {
      Known known{.file = {.path = entry.at("path"),
                           .device = entry.at("device"),
                           .inode = entry.at("inode"),
                           .size = entry.at("size"),
                           .modified = entry.at("modified"),
                           .changed = entry.at("changed")},
                  .sha256 = entry.at("sha256")};
      if (!is_sha256(known.sha256)) throw DataError("it holds something that is no SHA-256");
      known_.insert_or_assign(known.file.path, known);
    }
  } catch (const std::exception& why) {
    known_.clear();
    learnt_ = true;  // so that it is replaced
    warning_ = concat("the remembered checksums of weights in ", memory_.string(), " cannot be used (",
                      shortened(why.what(), 200), "); they are computed again");
  }
}

std::optional<std::string> FileHashes::find(const FileIdentity& file) const {
  const auto found = known_.find(file.path);
  if (found == known_.end() || found->second.file != file) return std::nullopt;
  return found->second.sha256;
}

void FileHashes::learn(const FileIdentity& file, std::string sha256) {
  const bool lasting = now() - std::max(file.modified, file.changed) > kClockDoubt;
  learnt_ = learnt_ || lasting;
  known_.insert_or_assign(file.path, Known{file, std::move(sha256), lasting});
}

void FileHashes::remember() const {
  if (memory_.empty() || !learnt_) return;
  nlohmann::json files = nlohmann::json::array();
  for (const auto& [path, known] : known_) {
    if (!known.lasting) continue;
    files.push_back({{"path", path},
                     {"device", known.file.device},
                     {"inode", known.file.inode},
                     {"size", known.file.size},
                     {"modified", known.file.modified},
                     {"changed", known.file.changed},
                     {"sha256", known.sha256}});
  }
  const nlohmann::json content = {{"format", kFormat}, {"sha256", seal(files)}, {"files", files}};
  const fs::path aside = memory_.string() + "." + std::to_string(::getpid());
  std::error_code ignored;
  bool written = false;
  {
    std::ofstream out(aside);
    out << content.dump(1, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
    out.close();
    written = static_cast<bool>(out);
  }
  if (written) fs::rename(aside, memory_, ignored);
  if (!written || ignored) fs::remove(aside, ignored);
}

}  // namespace dwgf
