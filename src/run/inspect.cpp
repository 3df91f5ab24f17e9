#include <cstdio>

#include <nlohmann/json.hpp>

#include <dwgf/base/text.hpp>
#include <dwgf/run/inspect.hpp>
#include <dwgf/store/results.hpp>

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
  counts.total = static_cast<std::int64_t>(states.size());
  for (std::size_t row = 0; row < states.size(); ++row) {
    if (states[row] == ImageState::failed) ++counts.failed;
    if (states[row] != ImageState::committed) continue;
    ++counts.done;
    counts.seconds += results.seconds(static_cast<std::int64_t>(row));
  }
  return counts;
}

}  // namespace

ExitCode status_command(const Settings& settings) {
  const ResultsFile results = ResultsFile::open_for_reading(settings.positionals.front());
  const Counts counts = count(results);
  const double per_image = counts.done ? counts.seconds / static_cast<double>(counts.done) : 0.0;
  const double group_seconds_left = per_image * static_cast<double>(counts.left());
  if (settings.flag("json")) {
    const nlohmann::ordered_json object = {
        {"images", counts.total},
        {"done", counts.done},
        {"failed", counts.failed},
        {"left", counts.left()},
        {"seconds_per_image", counts.done ? nlohmann::ordered_json(per_image) : nlohmann::ordered_json()},
        {"group_seconds_left",
         counts.done ? nlohmann::ordered_json(group_seconds_left) : nlohmann::ordered_json()}};
    std::printf("%s\n", object.dump(1).c_str());
    return ExitCode::ok;
  }
  std::printf("%s: %lld images: %lld done, %lld failed, %lld left\n", results.path().c_str(),
              static_cast<long long>(counts.total), static_cast<long long>(counts.done),
              static_cast<long long>(counts.failed), static_cast<long long>(counts.left()));
  if (counts.done) {
    std::printf("%s an image; for the rest %s, divided by the number of groups that work on it\n",
                human_duration(per_image).c_str(), human_duration(group_seconds_left).c_str());
  }
  return ExitCode::ok;
}

ExitCode verify_command(const Settings& settings) {
  const ResultsFile results = ResultsFile::open_for_reading(settings.positionals.front());
  const std::vector<ImageState> states = results.states();
  std::int64_t right = 0, damaged = 0, failed = 0, missing = 0;
  for (std::size_t index = 0; index < states.size(); ++index) {
    const auto row = static_cast<std::int64_t>(index);
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
