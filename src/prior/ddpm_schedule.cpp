#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t kMostSteps = 1'000'000;

/// diffusers' betas_for_alpha_bar: beta_i = min(1 - f((i + 1) / T) / f(i / T), 0.999), f(t) = cos(pi/2 (t +
/// 0.008) / 1.008)^2, in double, rounded once. arXiv 2102.09672, section 3.2.
std::vector<float> squared_cosine_betas(std::int64_t steps) {
  // The power and not a product, as Python rounds it.
  const auto f = [](double t) { return std::pow(std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2), 2.0); };
  std::vector<float> betas(steps);
  for (std::int64_t i = 0; i < steps; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(steps);
    const double next = static_cast<double>(i + 1) / static_cast<double>(steps);
    betas[i] = static_cast<float>(std::min(1.0 - f(next) / f(t), 0.999));
  }
  return betas;
}

at::Tensor copy_of(const std::vector<float>& values) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), out.data_ptr<float>());
  return out;
}

/// [T] float32, by the same LibTorch operations as diffusers, for the same bits.
at::Tensor betas_of(const DdpmScheduleConfig& config) {
  if (!config.trained_betas.empty()) return copy_of(config.trained_betas);
  const auto steps = config.train_steps;
  switch (config.beta_schedule) {
    case BetaSchedule::linear:
      return at::linspace(config.beta_start, config.beta_end, steps, at::kFloat);
    case BetaSchedule::scaled_linear:
      return at::linspace(std::sqrt(config.beta_start), std::sqrt(config.beta_end), steps, at::kFloat).pow(2);
    case BetaSchedule::squared_cosine:
      return copy_of(squared_cosine_betas(steps));
  }
  throw InternalError("noise schedule: unknown kind of betas");
}

void check(const DdpmScheduleConfig& config) {
  if (config.train_steps < 3 || config.train_steps > kMostSteps) {
    throw DataError("noise schedule: {} training steps; allowed: 3 ... {}", config.train_steps, kMostSteps);
  }
  if (!config.trained_betas.empty()) {
    if (static_cast<std::int64_t>(config.trained_betas.size()) != config.train_steps) {
      throw DataError("noise schedule: {} trained betas for {} training steps", config.trained_betas.size(),
                      config.train_steps);
    }
  } else if (!(config.beta_start > 0.0 && config.beta_start < 1.0 && config.beta_end > 0.0 &&
               config.beta_end < 1.0)) {
    throw DataError("noise schedule: beta_start {}, beta_end {}; allowed: above 0 and below 1",
                    config.beta_start, config.beta_end);
  }
  if (config.steps_offset < 0 || config.steps_offset >= config.train_steps) {
    throw DataError("noise schedule: steps_offset {}; allowed: 0 ... {}", config.steps_offset,
                    config.train_steps - 1);
  }
}

}  // namespace

DdpmSchedule::DdpmSchedule(DdpmScheduleConfig config) : config_(std::move(config)) {
  check(config_);
  const at::Tensor betas = betas_of(config_);                             // [T]
  const at::Tensor alpha_bar = at::cumprod(1.0 - betas, 0).contiguous();  // [T]
  const float* values = alpha_bar.const_data_ptr<float>();
  alpha_bar_.assign(values, values + config_.train_steps);
  const float* beta = betas.const_data_ptr<float>();
  for (std::int64_t t = 0; t < config_.train_steps; ++t) {
    if (beta[t] > 0.0F && beta[t] < 1.0F && alpha_bar_[t] > 0.0F) continue;
    throw DataError(
        "noise schedule: beta is {} and the signal left is {} at time {}; betas between 0 and 1 that leave "
        "some signal are allowed (zero terminal SNR is not)",
        beta[t], alpha_bar_[t], t);
  }
}

double DdpmSchedule::alpha_bar(std::int64_t time) const {
  if (time < 0 || time >= train_steps()) {
    throw InternalError("noise schedule: time {} is outside 0 ... {}", time, train_steps() - 1);
  }
  return alpha_bar_[time];
}

Level DdpmSchedule::level(std::int64_t time) const {
  const double kept = alpha_bar(time);
  return {std::sqrt(kept), std::sqrt(1.0 - kept), static_cast<double>(time)};
}

std::vector<std::int64_t> DdpmSchedule::times(std::int64_t grid) const {
  if (grid < 2 || grid >= train_steps()) {
    throw UsageError("a time grid of {} times; allowed for this prior: 2 ... {}", grid, train_steps() - 1);
  }
  std::vector<std::int64_t> times(grid - 1);
  for (std::int64_t k = 0; k < grid - 1; ++k) {
    times[k] = (grid - 1 - k) * (train_steps() / grid) + config_.steps_offset;
  }
  if (times.front() >= train_steps()) {
    throw UsageError(
        "a time grid of {} times would start at t = {}, beyond the prior's last, {} (its steps_offset is "
        "{}); choose a shorter grid",
        grid, times.front(), train_steps() - 1, config_.steps_offset);
  }
  return times;
}

std::vector<std::int64_t> DdpmSchedule::evenly_in_noise(std::int64_t first, std::int64_t last,
                                                        std::size_t count) const {
  const auto log_ratio = [&](std::int64_t time) { return dwgf::log_ratio(level(time)); };
  std::vector<std::int64_t> spaced;
  std::int64_t time = first;
  for (std::size_t k = 0; k < count; ++k) {
    const double share = count > 1 ? static_cast<double>(k) / static_cast<double>(count - 1) : 0.0;
    const double wanted = log_ratio(first) + share * (log_ratio(last) - log_ratio(first));
    while (time > last && std::abs(log_ratio(time - 1) - wanted) <= std::abs(log_ratio(time) - wanted))
      --time;
    spaced.push_back(time);
  }
  return spaced;
}

std::vector<Level> DdpmSchedule::levels(std::int64_t grid, Spacing spacing) const {
  std::vector<std::int64_t> at = times(grid);
  if (spacing == Spacing::log) at = evenly_in_noise(at.front(), config_.steps_offset, at.size());
  std::vector<Level> levels;
  for (const std::int64_t time : at) levels.push_back(level(time));
  return levels;
}

Level DdpmSchedule::nearest(double wanted) const {
  std::int64_t best = 1;
  for (std::int64_t time = 2; time < train_steps(); ++time) {
    if (std::abs(log_ratio(level(time)) - wanted) < std::abs(log_ratio(level(best)) - wanted)) best = time;
  }
  return level(best);
}

}  // namespace dwgf
