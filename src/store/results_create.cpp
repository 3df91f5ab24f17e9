// A results file is made aside, complete and on the disk, before it appears under its name.
#include "store/detail/results_create.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/replace_file.hpp"
#include "comm/throw_on_all.hpp"
#include "store/detail/results_impl.hpp"
#include "store/detail/shards.hpp"
#include "store/io_self_test.hpp"
#include "store/results.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

void require_sensible(const ResultsLayout& layout) {
  if (layout.images.empty()) throw InternalError("a results file needs at least one image");
  std::set<std::string> paths;
  for (const auto& dataset : layout.datasets) {
    if (dataset.type == NumberType::none)
      throw InternalError("{} of type 'none' is to be left out", dataset.path);
    if (dataset.path.size() < 2 || dataset.path[0] != '/' || schema::is_record(dataset.path) ||
        !paths.insert(dataset.path).second) {
      throw InternalError("'{}' cannot be a dataset of a results file, or is named twice", dataset.path);
    }
    dataset.row_bytes();  // throws if beyond all bounds
  }
}

/// @param ranks  that write a test file beside the results (io_self_test.hpp)
void require_space(const std::string& path, const ResultsLayout& layout, int ranks) {
  struct statvfs system {};
  const std::string directory = directory_of(path);
  if (statvfs(directory.c_str(), &system) != 0) return;  // the write itself will tell
  const std::uint64_t needed = file_bytes(layout);
  const std::uint64_t largest = needed / std::max<std::uint64_t>(1, planned_shards(path, layout).size());
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && largest > limit.rlim_cur) {
    throw IoError(
        "the results file {} needs {} bytes, but files here are limited to {} (ulimit -f, or the batch "
        "system); raise the limit, or choose more files (store.shards), fewer images or smaller types "
        "(store.particles, store.latents)",
        path, largest, limit.rlim_cur);
  }
  const std::uint64_t available = std::uint64_t{system.f_bavail} * system.f_frsize;
  const std::uint64_t test = io_test_bytes(ranks);
  if (needed + test <= available) return;
  throw IoError(
      "the results file {} needs {} bytes, and {} more for a while to test the file system, but {} has {} "
      "bytes free; choose another place (store.out), fewer images or smaller types (store.particles, "
      "store.latents)",
      path, needed, test, directory, available);
}

}  // namespace

void require_place_for_results(const std::string& path) {
  const std::string directory = directory_of(path);
  std::error_code ignored;
  if (!fs::exists(directory, ignored)) {
    throw IoError(
        "the directory {} for the results file does not exist on host {}; create it (mkdir -p {}) or change "
        "store.out",
        directory, host_name(), directory);
  }
  if (!fs::is_directory(directory, ignored))
    throw IoError("{} is not a directory; change store.out", directory);
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    throw IoError(
        "the directory {} for the results file is not writable on host {} ({}); change store.out or its "
        "permissions",
        directory, host_name(), system_text(errno));
  }
}

void create_file_of_rows(const std::string& path, const ResultsLayout& layout,
                         const std::vector<ShardPlace>& shards) {
  const std::string aside = path + ".creating";
  try {
    // Before HDF5 as a trial: a file of its that cannot be finished takes the process down when MPI ends.
    if (shards.empty()) reserve_space(aside, file_bytes(layout));
    fs::remove(aside);
    const auto records = with_prompts(schema::kRecords, layout);
    create_row_file(aside, {.layout = layout,
                            .records = records,
                            .attributes = {{"dwgf_format", kResultsFormat}},
                            .alignment = layout.alignment,
                            .chunk_bytes = layout.chunk_bytes,
                            .shards = shards});
    if (shards.empty()) reserve_space(aside, fs::file_size(aside));
    PosixFile::open_for_writing(aside).sync();  // what closing wrote
    publish_file(aside, path);
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove(aside, ignored);
    throw;
  }
}

namespace {

bool holds_results(const std::string& path) {
  const std::vector<ImageState> states = ResultsFile::open_for_reading(path).states();
  return std::any_of(states.begin(), states.end(),
                     [](ImageState state) { return state != ImageState::not_done; });
}

/// Takes away what a creation that was cut short left, but nothing that holds results: a shard of this very
/// file stays, another one is refused.
void clear_leftovers(const std::string& folder, const std::map<std::string, ResultsLayout>& wanted) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string path = entry.path();
    if (path.ends_with(".creating")) {
      fs::remove(path);
      continue;
    }
    const auto planned = wanted.find(path);
    bool filled = false, own = false;
    try {
      own = planned != wanted.end() &&
            why_foreign(ResultsFile::open_for_reading(path).layout(), planned->second).empty();
      filled = !own && holds_results(path);
    } catch (const DataError&) {
      filled = true;
    }
    if (filled) {
      throw IoError(
          "{} is there already, but not a shard of the results file that is to be made; move its folder "
          "away, or name another store.out",
          path);
    }
    if (!own) fs::remove(path);
  }
}

/// A file of this layout in place of nothing.
void create_files(const std::string& path, const ResultsLayout& layout) {
  const std::vector<ShardPlace> places = planned_shards(path, layout);
  if (places.empty()) return create_file_of_rows(path, layout);
  const std::string folder = folder_of_shards(path);
  std::map<std::string, ResultsLayout> shards;
  for (std::size_t k = 0; k < places.size(); ++k)
    shards[path_of_shard(path, places[k])] = layout_of_shard(layout, places[k], k, places.size());
  try {
    fs::create_directory(folder);
    clear_leftovers(folder, shards);
  } catch (const fs::filesystem_error& error) {
    throw IoError("the folder of shards {}: {}", folder, error.code().message());
  }
  for (const auto& [shard, own] : shards) {
    std::error_code ignored;
    if (!fs::exists(shard, ignored)) create_file_of_rows(shard, own);
  }
  create_file_of_rows(path, layout, places);
}

}  // namespace

ResultsFile ResultsFile::create(const std::string& path, const ResultsLayout& layout,
                                const Communicator& comm, Durability durability) {
  Communicator group = comm.split(0, comm.rank());
  throw_on_all(group, [&] {
    require_sensible(layout);
    require_place_for_results(path);
  });
  // By one rank: a disk that fails is then its error alone, and no other rank waits for it inside a
  // collective of HDF5.
  run_on_root(group, [&] {
    std::error_code ignored;
    require_absent(path);
    require_space(path, layout, group.size());
    fs::remove(path + ".creating", ignored);
    create_files(path, layout);
  });
  return open_for_writing(path, comm, durability);
}

}  // namespace dwgf
