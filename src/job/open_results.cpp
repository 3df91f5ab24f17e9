#include "job/open_results.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>

#include "comm/throw_on_all.hpp"
#include "input/stored_job.hpp"
#include "job/compute_device.hpp"
#include "store/checkpoint.hpp"
#include "store/io_self_test.hpp"
#include "store/library_versions.hpp"
#include "store/verified_rows.hpp"

namespace dwgf {

namespace {

constexpr std::string_view kComputesOn = "computes on ";

std::string describe_system(const Communicator& world, const c10::Device& device) {
  return formatted("host {}; {} ranks; {}, {} threads a rank; {}{}{}; {}", host_name(), world.size(),
                   at::get_cpu_capability(), at::get_num_threads(), kComputesOn, kind_of(device),
                   particulars_of(device), describe_build());
}

/// What such a text computes on: "the CPU", "cuda: its name". Empty in texts of earlier versions.
std::string device_in(const ResultsLayout& layout) {
  const auto system = layout.attributes.find("system");
  if (system == layout.attributes.end()) return "";
  const std::size_t found = system->second.find(kComputesOn);
  if (found == std::string::npos) return "";
  const std::size_t first = found + kComputesOn.size();
  return system->second.substr(first, system->second.find(';', first) - first);
}

/// What to tell where the file's results were made on another device; empty: nothing. Throws UsageError where
/// it is of another kind and the job did not ask for its own.
std::string other_device(const ResultsFile& results, const RestoreJob& job, const ResultsLayout& wanted) {
  const std::string before = device_in(results.layout()), now = device_in(wanted);
  const std::vector<ImageState> states = results.states();
  const auto committed = std::ranges::count(states, ImageState::committed);
  const bool mixes = committed > 0 && committed < std::ssize(states);
  if (before.empty() || before == now || !mixes) return "";
  const std::string text = formatted(
      "{} of the images in '{}' were computed on {}, and this job computes on {}, whose bits differ",
      committed, results.path(), before, now);
  const auto kind = [](const std::string& device) { return device.substr(0, device.find(':')); };
  if (kind(before) != kind(now) && job.input().layout.device == ComputeOn::automatic) {
    throw UsageError(
        "run.device = auto: {}. Set run.device = cpu or cuda to go on all the same, or go on where the job "
        "began",
        text);
  }
  return text;
}

/// Refuses to go on with a file that another job, prior or data set made.
void require_same_job(const ResultsFile& results, const RestoreJob& job, const ResultsLayout& wanted) {
  const ResultsLayout& found = results.layout();
  const std::string text =
      job_differences(job.settings(), wanted.attributes, stored_job(results.path(), found.attributes),
                      found.attributes, same_images(found, wanted));
  if (text.empty()) return;
  throw UsageError(
      "store.out: '{}' holds the results of a different job; it is left as it is. These differ:{}\nName "
      "another store.out, or set the options as they were to go on with this one",
      results.path(), text);
}

/// Looks at a file that is there without touching it; its shards that are missing, and what to tell of the
/// device that made its results.
std::vector<ResultsShard> require_same_job(const std::string& path, const RestoreJob& job,
                                           const ResultsLayout& wanted, std::string& device) {
  try {
    const auto results = ResultsFile::open_for_reading(path);
    require_same_job(results, job, wanted);
    device = other_device(results, job, wanted);
    std::vector<ResultsShard> shards = results.shards();
    std::erase_if(shards, [](const ResultsShard& shard) { return !shard.missing; });
    return shards;
  } catch (const DataError& error) {
    throw DataError("store.out: {}. The file is left as it is; name another store.out", error.what());
  }
}

/// What the job that holds the lock says of itself, as the rest of a sentence.
std::string who_writes(const std::string& path) {
  const nlohmann::json said = nlohmann::json::parse(look_for_job(path).said, nullptr, false);
  if (!said.is_object() || !said.contains("host") || !said.contains("process")) return "";
  return formatted(". It is process {} on host {}", said["process"].dump(), said["host"].dump());
}

/// Whether there is anything under this name.
bool exists(const std::string& path) {
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::status(path, error).type();
  if (type == std::filesystem::file_type::none)
    throw IoError("store.out: '{}' cannot be looked at ({}); name another file", path, error.message());
  return type != std::filesystem::file_type::not_found;
}

/// The rows of committed images that are not `verified` and do not agree with their checksums; every rank
/// looks at a share.
std::vector<std::int64_t> damaged_rows(Communicator& world, const ResultsFile& file,
                                       const std::vector<ImageState>& states,
                                       const std::vector<bool>& verified) {
  std::vector<std::int64_t> damaged(states.size());
  throw_on_all<CollectiveError>(world, [&] {
    std::int64_t turn = 0;
    for (std::size_t k = 0; k < states.size(); ++k) {
      if (states[k] != ImageState::committed || verified[k]) continue;
      if (turn++ % world.size() != world.rank()) continue;
      const auto row = static_cast<std::int64_t>(k);
      damaged[k] = file.compute_crc32(row) != file.stored_crc32(row);
    }
  });
  world.all_reduce_max(damaged);
  std::vector<std::int64_t> rows;
  for (std::size_t k = 0; k < damaged.size(); ++k) {
    if (damaged[k]) rows.push_back(static_cast<std::int64_t>(k));
  }
  return rows;
}

/// What rank 0 finds noted, of the committed rows.
std::vector<bool> noted_on_all(Communicator& world, const ResultsFile& file,
                               const std::vector<ImageState>& states) {
  std::vector<std::uint8_t> noted(states.size());
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() != 0) return;
    const std::vector<bool> verified = noted_verified_rows(file);
    for (std::size_t k = 0; k < states.size(); ++k)
      noted[k] = verified[k] && states[k] == ImageState::committed;
  });
  world.broadcast(std::as_writable_bytes(std::span(noted)), 0);
  return {noted.begin(), noted.end()};
}

/// The states as rank 0 sees them.
std::vector<ImageState> states_of(Communicator& world, const ResultsFile& file) {
  std::vector<ImageState> states(file.layout().images.size());
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() == 0) states = file.states();
  });
  world.broadcast(std::as_writable_bytes(std::span(states)), 0);
  return states;
}

/// The first rows of all shards, then the second ones, and so on.
std::vector<std::int64_t> rows_across_shards(const ResultsFile& file) {
  std::vector<std::int64_t> rows;
  const std::vector<ResultsShard> shards = file.shards();
  const std::size_t images = file.layout().images.size();
  for (std::int64_t turn = 0; rows.size() < images; ++turn) {
    for (const ResultsShard& shard : shards)
      if (turn < shard.rows) rows.push_back(shard.first + turn);
  }
  return rows;
}

}  // namespace

OpenResults open_results(Communicator& world, const RestoreJob& job, int groups) {
  const std::string path = job.input().store.out;
  ResultsLayout layout = job.layout(describe_system(world, job.prior().options.device()));
  layout.shards = job.input().store.shards.value_or(groups);
  std::optional<JobLock> lock;
  std::vector<ResultsShard> missing;
  std::string device;
  std::int64_t there = 0;
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() != 0) return;
    require_place_for_results(path);
    if (exists(path)) missing = require_same_job(path, job, layout, device);
    try {
      lock = JobLock::acquire(path);
    } catch (const UsageError& error) {
      throw UsageError("store.out: {}{}", error.what(), who_writes(path));
    } catch (const Error& error) {
      throw Error(error.code(), formatted("store.out: {}", error.what()));
    }
    there = exists(path);
  });
  world.broadcast(std::as_writable_bytes(std::span(&there, 1)), 0);

  std::optional<ResultsFile> file;
  if (there) {
    throw_on_all<CollectiveError>(world, [&] { file = ResultsFile::open_for_writing(path, world); });
    throw_on_all<CollectiveError>(
        world, [&] { require_same_job(*file, job, layout); });  // made since it was looked at
  } else {
    throw_on_all<CollectiveError>(world, [&] { file = ResultsFile::create(path, layout, world); });
  }
  throw_on_all<CollectiveError>(world, [&] { test_mpi_io(path + ".iotest", world); });

  OpenResults open{std::move(lock), std::move(*file), {}, {}, {}, std::move(missing), std::move(device)};
  std::vector<ImageState> states = states_of(world, open.file);
  open.verified = noted_on_all(world, open.file, states);
  if (job.input().store.verify) {
    open.damaged = damaged_rows(world, open.file, states, open.verified);
    for (std::size_t k = 0; k < states.size(); ++k) open.verified[k] = states[k] == ImageState::committed;
  }
  for (const std::int64_t row : open.damaged) {
    states[static_cast<std::size_t>(row)] = ImageState::not_done;
    open.verified[static_cast<std::size_t>(row)] = false;
  }
  std::vector<std::uint64_t> ids;
  for (const std::int64_t row : rows_across_shards(open.file)) {
    const auto k = static_cast<std::size_t>(row);
    if (states[k] == ImageState::committed) continue;
    open.rows.push_back(row);
    ids.push_back(layout.images[k].id);
  }
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() != 0) return;
    note_verified_rows(path, open.file.shards(), open.verified, NoteTime::before_writing);
    for (const std::int64_t row : open.damaged) open.file.withdraw(row);
    Checkpoints::keep_only(path, ids);
  });
  return open;
}

void close_results(Communicator& world, OpenResults& open) {
  std::vector<bool> verified = std::move(open.verified);
  const std::vector<ResultsShard> files = open.file.shards();
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() != 0) return;
    const std::vector<ImageState> states = open.file.states();
    for (const std::int64_t row : open.rows) {  // what this job has done
      const auto k = static_cast<std::size_t>(row);
      verified[k] = states[k] == ImageState::committed;
    }
  });
  open.file.close();
  world.barrier();
  if (world.rank() == 0) note_verified_rows(open.file.path(), files, verified, NoteTime::at_end);
}

}  // namespace dwgf
