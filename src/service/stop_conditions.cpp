#include "service/stop_conditions.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <utility>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {

namespace {

constexpr auto kPause = std::chrono::milliseconds(200);
constexpr double kReserveShare = 0.02, kLeastReserve = 1.0, kMostReserve = 120.0;  // -, [s], [s]

}  // namespace

double slurm_seconds_left() {
  const char* text = std::getenv("SLURM_JOB_END_TIME");
  const std::optional<std::int64_t> end = parse_int64(text ? text : "");
  if (!end) {
    throw UsageError(
        "run.time_limit = slurm, but the environment has no SLURM_JOB_END_TIME (Slurm 22.05 and later set it "
        "in jobs); set run.time_limit = HH:MM:SS");
  }
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(*end) - now.count();
}

std::string stop_file_of(const std::string& results) {
  return results + ".stop";
}

StopConditions::StopConditions(Limits limits, std::function<double()> step_seconds,
                               std::function<void(const std::string&)> stop)
    : limits_(std::move(limits)), step_seconds_(std::move(step_seconds)), stop_(std::move(stop)) {
  if (limits_.seconds || !limits_.file.empty()) thread_ = std::thread([this] { watch(); });
}

StopConditions::~StopConditions() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::string StopConditions::reason() const {
  std::error_code ignored;
  if (!limits_.file.empty() && std::filesystem::exists(limits_.file, ignored)) {
    std::filesystem::remove(limits_.file, ignored);
    return formatted("{} was there; removed", limits_.file);
  }
  if (!limits_.seconds) return "";
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin_;
  const double left = *limits_.seconds - elapsed.count();
  const double reserve = std::clamp(kReserveShare * *limits_.seconds, kLeastReserve, kMostReserve);
  if (left > 2.0 * step_seconds_() + reserve) return "";
  return formatted("run.time_limit: {} left", human_duration(std::max(left, 0.0)));
}

void StopConditions::watch() {
  std::unique_lock lock(mutex_);
  do {
    if (const std::string why = reason(); !why.empty()) return stop_(why);
  } while (!wake_.wait_for(lock, kPause, [this] { return ending_; }));
}

}  // namespace dwgf
