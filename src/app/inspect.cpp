#include "app/inspect.hpp"

#include <cstdio>

#include <nlohmann/json.hpp>

#include <dwgf/base/text.hpp>

#include "store/job_lock.hpp"
#include "store/results.hpp"
#include "store/time_shares.hpp"

namespace dwgf {

namespace {

struct Counts {
  std::int64_t total = 0, done = 0, failed = 0;
  double seconds = 0.0;  ///< of the committed images, summed

  std::int64_t left() const { return total - done - failed; }
};

Counts count(const ResultsFile& results) {
  Counts counts;
  const std::vector<ImageState> states = results.states();
  const std::vector<float> seconds = results.seconds();
  counts.total = static_cast<std::int64_t>(states.size());
  for (std::size_t row = 0; row < states.size(); ++row) {
    if (states[row] == ImageState::failed) ++counts.failed;
    if (states[row] != ImageState::committed) continue;
    ++counts.done;
    counts.seconds += seconds[row];
  }
  return counts;
}

}  // namespace

namespace {

using Json = nlohmann::ordered_json;

// Without locks on the file system, a job that has been silent for longer is taken for dead.
constexpr double kSilence = 60.0;

/// The job that writes the file, or wrote it last: whether it runs is known from its lock, which a dead one
/// cannot hold; the rates are what it said itself.
struct RunningJob {
  Json running;  ///< true, false
  Json said = Json::object();
  double seconds_silent = -1.0;

  explicit RunningJob(const std::string& path) {
    const JobSeen seen = look_for_job(path);
    running = seen.running.value_or(seen.seconds_silent >= 0 && seen.seconds_silent < kSilence);
    seconds_silent = seen.seconds_silent;
    const Json parsed = Json::parse(seen.said, nullptr, false);
    if (parsed.is_object()) said = parsed;
  }
  /// Null for a job that does not run any more.
  Json number(const char* name) const { return running == true && said.contains(name) ? said[name] : Json(); }
  double real(const Json& value) const { return value.is_number() ? value.get<double>() : -1.0; }
};

/// Seconds an image by part; null where the file does not say.
Json json_of(const TimeShares& shares) {
  if (shares.parts.empty()) return Json();
  Json object;
  for (const TimeShare& part : shares.parts) object[part.name] = part.seconds;
  object["processors"] = shares.processors;
  return object;
}

void print_job(const RunningJob& job, std::int64_t left) {
  const Json rate = job.number("images_per_hour"), slowest = job.number("slowest");
  if (job.running == true) {
    std::printf("a job is writing it");
    if (job.said.contains("host"))
      std::printf(": process %s on host %s", job.said["process"].dump().c_str(),
                  job.said["host"].get<std::string>().c_str());
    if (rate.is_number())
      std::printf("; %.3g images an hour, %s left", job.real(rate),
                  human_duration(job.real(job.number("seconds_left"))).c_str());
    if (slowest.is_object() && job.real(slowest["steps_per_second"]) == 0.0)
      std::printf("; the group of rank %s has not ended its first step", slowest["rank"].dump().c_str());
    else if (slowest.is_object())
      std::printf("; the slowest group is that of rank %s, with %.3g steps a second",
                  slowest["rank"].dump().c_str(), job.real(slowest["steps_per_second"]));
    std::printf("\n");
  } else if (left > 0) {
    std::printf("no job is writing it");
    if (job.seconds_silent >= 0)
      std::printf(" (the last one was killed; it spoke %s ago)", human_duration(job.seconds_silent).c_str());
    std::printf("; the same command goes on with it\n");
  }
}

}  // namespace

ExitCode status_command(const Settings& settings) {
  const ResultsFile results = ResultsFile::open_for_reading(settings.positionals.front());
  const Counts counts = count(results);
  const RunningJob job(results.path());
  const double per_image = counts.done ? counts.seconds / static_cast<double>(counts.done) : 0.0;
  const TimeShares shares = time_shares(results);
  if (settings.as<StatusInput>().json) {
    const Json object = {{"images", counts.total},
                         {"done", counts.done},
                         {"failed", counts.failed},
                         {"left", counts.left()},
                         {"running", job.running},
                         {"images_per_hour", job.number("images_per_hour")},
                         {"seconds_left", job.number("seconds_left")},
                         {"slowest", job.number("slowest")},
                         {"seconds_per_image", counts.done ? Json(per_image) : Json()},
                         {"time", json_of(shares)}};
    std::printf("%s\n", object.dump(1).c_str());
    return ExitCode::ok;
  }
  std::printf("%s: %lld images: %lld done, %lld failed, %lld left\n", results.path().c_str(),
              static_cast<long long>(counts.total), static_cast<long long>(counts.done),
              static_cast<long long>(counts.failed), static_cast<long long>(counts.left()));
  if (counts.done) std::printf("%s an image and group\n", human_duration(per_image).c_str());
  if (!shares.parts.empty())
    std::printf("of which %s; %s of the processors\n", text_of(shares).c_str(),
                human_duration(shares.processors).c_str());
  for (const ResultsShard& shard : results.shards()) {
    if (!shard.problem.empty())
      std::printf("the shard %s, with %lld of the images, %s\n", shard.path.c_str(),
                  static_cast<long long>(shard.rows), shard.problem.c_str());
  }
  print_job(job, counts.left());
  return ExitCode::ok;
}

ExitCode verify_command(const Settings& settings) {
  const ResultsFile results = ResultsFile::open_for_reading(settings.positionals.front());
  const std::vector<ImageState> states = results.states();
  const std::vector<ResultsShard> shards = results.shards();
  std::int64_t right = 0, damaged = 0, failed = 0, missing = 0;
  for (const ResultsShard& shard : shards) {
    if (!shard.problem.empty())
      std::printf("damaged  shard %s, with rows %lld ... %lld, %s\n", shard.path.c_str(),
                  static_cast<long long>(shard.first), static_cast<long long>(shard.first + shard.rows - 1),
                  shard.problem.c_str());
  }
  auto shard = shards.begin();
  for (std::size_t index = 0; index < states.size(); ++index) {
    const auto row = static_cast<std::int64_t>(index);
    if (row == shard->first + shard->rows) ++shard;
    const char* name = results.layout().images[index].name.c_str();
    switch (states[index]) {
      case ImageState::committed:
        if (results.compute_crc32(row) == results.stored_crc32(row)) {
          ++right;
        } else {
          ++damaged;
          std::printf("damaged  %lld  %s\n", static_cast<long long>(row), name);
        }
        break;
      case ImageState::failed:
        ++failed;
        std::printf("failed   %lld  %s  (%s)\n", static_cast<long long>(row), name,
                    results.reason(row).c_str());
        break;
      case ImageState::not_done:
        if (!shard->problem.empty()) {
          ++damaged;
          std::printf("damaged  %lld  %s  (its shard)\n", static_cast<long long>(row), name);
          break;
        }
        ++missing;
        std::printf("missing  %lld  %s\n", static_cast<long long>(row), name);
        break;
    }
  }
  std::printf("%lld right, %lld damaged, %lld failed, %lld missing\n", static_cast<long long>(right),
              static_cast<long long>(damaged), static_cast<long long>(failed),
              static_cast<long long>(missing));
  if (damaged) return ExitCode::bad_data;
  return failed || missing ? ExitCode::some_images_failed : ExitCode::ok;
}

}  // namespace dwgf
