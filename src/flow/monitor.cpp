#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/flow/monitor.hpp>

#include "flow/diverged.hpp"

namespace dwgf {

namespace {

/// Whether a row is made of one number a particle.
bool of_particles(const Diagnostic& row) {
  return row.reduction == Reduction::mean || row.reduction == Reduction::root_mean_square;
}

/// That number of every sample of a micro-batch, float64 [M].
at::Tensor numbers_of(const Diagnostic& row, const BatchValues& values, std::int64_t samples) {
  const auto found = values.find(row.name);
  if (found == values.end()) return at::full({samples}, row.otherwise, at::kDouble);
  if (row.reduction == Reduction::mean) return found->second.cpu();
  return found->second.flatten(1).to(at::kDouble).square().mean(1).cpu();
}

}  // namespace

std::vector<std::int64_t> recorded_steps(std::int64_t steps, std::int64_t record_every) {
  std::vector<std::int64_t> recorded;
  for (std::int64_t step = 0; step < steps; ++step) {
    if (step % record_every == 0 || step + 1 == steps) recorded.push_back(step);
  }
  return recorded;
}

Monitor::Monitor(const FlowOptions& options, std::int64_t steps, Collective& group)
    : stall_(options.stall),
      record_every_(options.record_every),
      steps_(steps),
      group_(group),
      particles_(options.particles) {}

bool Monitor::wants(std::int64_t step) const {
  return step % record_every_ == 0 || step + 1 == steps_;
}

std::size_t Monitor::quantities() {
  return static_cast<std::size_t>(std::ranges::count_if(diagnostic_rows(), of_particles));
}

void Monitor::observe(const BatchValues& values, std::int64_t redone) {
  const std::int64_t samples = values.at("misfit").size(0);
  BatchValues all = values;
  all["redone"] = at::full({samples}, static_cast<double>(redone), at::kDouble);
  std::vector<at::Tensor> columns;
  std::size_t used = 0;
  for (const Diagnostic& row : diagnostic_rows()) {
    used += all.contains(row.name);
    if (of_particles(row)) columns.push_back(numbers_of(row, all, samples));
  }
  if (used != all.size()) throw InternalError("a method records what is no row of the diagnostics");
  const at::Tensor numbers = at::stack(columns, 1).contiguous();  // [M, quantities]
  const double* value = numbers.data_ptr<double>();
  own_.insert(own_.end(), value, value + numbers.numel());
}

void Monitor::finish_step(const FlowState& state) {
  complete();
  if (!wants(state.step)) return;
  under_way_ = std::exchange(own_, {});
  under_way_step_ = state.step;
  start_exchange(state);
}

void Monitor::start_exchange(const FlowState& state) {
  // The same room on every rank, whether it has that many particles or not.
  under_way_.resize(static_cast<std::size_t>(state.share.batches_per_rank * state.share.micro_batch) *
                    quantities());
  gathered_.assign(under_way_.size() * static_cast<std::size_t>(group_.size()), 0.0);
  pending_ = group_.start_all_gather(std::as_bytes(std::span(under_way_)),
                                     std::as_writable_bytes(std::span(gathered_)));
  moments_ = std::make_unique<EnsembleMoments>(state.latent_elements(), particles_);
  for (const ParticleBatch& batch : state.batches) moments_->add(batch.z.flatten(1), batch.counted);
  moments_->start(group_);
}

bool Monitor::stalled() const {
  const std::vector<double>& misfit = diagnostics_.named("misfit");
  if (stall_ == 0.0 || misfit.size() < 2 * kStallWindow) return false;
  const auto middle = misfit.end() - kStallWindow;
  const double before = std::accumulate(middle - kStallWindow, middle, 0.0);
  return !(std::accumulate(middle, misfit.end(), 0.0) < (1.0 - stall_) * before);
}

Monitor::State Monitor::state() const {
  return {diagnostics_, pending_ ? under_way_step_ : -1, under_way_};
}

void Monitor::go_on_from(State state, const FlowState& flow) {
  complete();
  diagnostics_ = std::move(state.diagnostics);
  under_way_ = std::move(state.under_way);
  under_way_step_ = state.under_way_step;
  if (under_way_step_ >= 0) start_exchange(flow);
}

void Monitor::complete() {
  if (!pending_) return;
  std::exchange(pending_, nullptr)->wait();
  const std::size_t width = quantities();
  std::vector<double> means(width);
  for (std::int64_t particle = 0; particle < particles_; ++particle) {
    for (std::size_t q = 0; q < width; ++q)
      means[q] += gathered_[static_cast<std::size_t>(particle) * width + q];
  }
  for (double& mean : means) {
    mean /= static_cast<double>(particles_);
    if (!std::isfinite(mean)) throw Diverged(under_way_step_);
  }
  moments_->wait();
  auto mean = means.begin();
  for (std::size_t q = 0; q < diagnostic_rows().size(); ++q) {
    const auto value = [&] {
      switch (diagnostic_rows()[q].reduction) {
        case Reduction::mean:
          return *mean++;
        case Reduction::root_mean_square:
          return std::sqrt(*mean++);
        case Reduction::ensemble_mean:
          return std::sqrt(moments_->mean().square().mean().item<double>());
        case Reduction::ensemble_spread:
          return std::sqrt(moments_->variance().mean().item<double>());
      }
      throw InternalError("unknown reduction");
    };
    diagnostics_.series[q].push_back(value());
  }
}

Diagnostics Monitor::finish() {
  complete();
  return std::move(diagnostics_);
}

}  // namespace dwgf
