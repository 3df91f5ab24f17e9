#include "prior/few_step_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr double kDataDeviation = 0.5;  // of the boundary condition: diffusers' sigma_data

bool is_distilled_to_times(FewStepSampler sampler) {
  return sampler == FewStepSampler::consistency || sampler == FewStepSampler::trajectory;
}

/// Where a step of `ancestral` lands between `at` and `next`.
Level ancestral_landing(const Level& at, const Level& next) {
  const double from = at.noise / at.signal, to = next.noise / next.signal;  // q, q'
  const double ratio = to * to / from;                                      // q_l = q'^2 / q
  const double signal = 1.0 / std::sqrt(1.0 + ratio * ratio);
  return {signal, ratio * signal, next.time};
}

std::vector<std::int64_t> allowed_times(const FewStepConfig& config, std::int64_t train_steps) {
  if (!config.times.empty() || !is_distilled_to_times(config.sampler)) return config.times;
  std::vector<std::int64_t> times;
  const std::int64_t apart = train_steps / config.original_steps;
  for (std::int64_t k = config.original_steps; k > 0; --k) times.push_back(k * apart - 1);
  return times;
}

}  // namespace

FewStepSchedule::FewStepSchedule(DdpmSchedule schedule, FewStepConfig config)
    : schedule_(std::move(schedule)), config_(std::move(config)) {
  const std::int64_t train_steps = schedule_.train_steps();
  if (config_.original_steps < 1 || config_.original_steps > train_steps) {
    throw DataError(
        "noise schedule: {} times of the distillation (original_inference_steps); allowed: 1 ... {}",
        config_.original_steps, train_steps);
  }
  allowed_ = allowed_times(config_, train_steps);
  for (std::size_t k = 0; k < allowed_.size(); ++k) {
    if (allowed_[k] >= 0 && allowed_[k] < train_steps && (k == 0 || allowed_[k] < allowed_[k - 1])) continue;
    throw DataError("noise schedule: the prior's time {} is {}; allowed: descending numbers of {} ... 0",
                    k + 1, allowed_[k], train_steps - 1);
  }
}

std::vector<std::int64_t> FewStepSchedule::times(std::int64_t steps) const {
  const std::int64_t count =
      allowed_.empty() ? schedule_.train_steps() : static_cast<std::int64_t>(allowed_.size());
  if (steps < 1 || steps > count)
    throw UsageError("{} steps of a prior that was distilled to few; allowed: 1 ... {}", steps, count);
  const double apart = static_cast<double>(count) / static_cast<double>(steps);
  std::vector<std::int64_t> times;
  for (std::int64_t k = 0; k < steps; ++k) {
    const double passed = static_cast<double>(k) * apart;
    if (allowed_.empty()) {
      // Halves to the even one, as numpy rounds.
      times.push_back(static_cast<std::int64_t>(std::nearbyint(static_cast<double>(count) - passed)) - 1);
    } else {
      times.push_back(allowed_[static_cast<std::size_t>(passed)]);
    }
  }
  return times;
}

std::vector<FewStep> FewStepSchedule::course(std::int64_t steps, double gamma) const {
  const std::vector<std::int64_t> at = times(steps);
  std::vector<FewStep> course;
  for (std::size_t k = 0; k < at.size(); ++k) {
    const bool last = k + 1 == at.size();
    FewStep step{.at = schedule_.level(at[k])};
    switch (config_.sampler) {
      case FewStepSampler::consistency: {
        const double scaled = static_cast<double>(at[k]) * config_.time_scaling;
        const double square = scaled * scaled + kDataDeviation * kDataDeviation;
        step.taken = scaled / std::sqrt(square);
        step.kept = kDataDeviation * kDataDeviation / square;
        if (!last) step.next = schedule_.level(at[k + 1]);
        break;
      }
      case FewStepSampler::trajectory: {
        const std::int64_t next = last ? 0 : at[k + 1];
        step.lands = schedule_.level(static_cast<std::int64_t>((1.0 - gamma) * static_cast<double>(next)));
        step.next = last ? step.lands : schedule_.level(next);
        break;
      }
      case FewStepSampler::euler:
        if (!last) step.lands = step.next = schedule_.level(at[k + 1]);
        break;
      case FewStepSampler::ancestral:
        if (last) break;
        step.next = schedule_.level(at[k + 1]);
        step.lands = ancestral_landing(step.at, step.next);
        break;
    }
    course.push_back(step);
  }
  return course;
}

FewSteps FewStepSchedule::few_steps() const {
  const std::int64_t meant = config_.times.empty() ? 4 : static_cast<std::int64_t>(config_.times.size());
  const double first_noise = is_distilled_to_times(config_.sampler) ? 1.0 : first().noise;
  return {meant, first_noise, [path = *this](std::int64_t steps) { return path.course(steps); }};
}

std::vector<Level> FewStepSchedule::levels(std::int64_t grid, Spacing spacing) const {
  std::vector<Level> levels = schedule_.levels(grid, spacing);  // and its checks
  const auto all = static_cast<std::int64_t>(allowed_.size());
  if (spacing == Spacing::linear && (allowed_.empty() || grid - 1 <= all)) {
    levels.clear();
    for (const std::int64_t time : times(grid - 1)) levels.push_back(schedule_.level(time));
  } else {
    for (Level& level : levels) level = nearest(log_ratio(level));
  }
  return levels;
}

Level FewStepSchedule::last() const {
  return allowed_.empty() ? schedule_.last() : schedule_.level(allowed_.back());
}

Level FewStepSchedule::first() const {
  return allowed_.empty() ? schedule_.first() : schedule_.level(allowed_.front());
}

Level FewStepSchedule::nearest(double wanted) const {
  if (allowed_.empty()) return schedule_.nearest(wanted);
  const auto distance = [&](std::int64_t time) {
    return std::abs(log_ratio(schedule_.level(time)) - wanted);
  };
  return schedule_.level(*std::ranges::min_element(allowed_, {}, distance));
}

}  // namespace dwgf
