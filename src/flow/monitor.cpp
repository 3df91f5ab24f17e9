#include <cmath>
#include <numeric>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/flow/monitor.hpp>

#include "flow/diverged.hpp"

namespace dwgf {

namespace {

/// The mean square of each sample, float64 [M].
at::Tensor mean_square(const at::Tensor& v) {
  return v.flatten(1).to(at::kDouble).square().mean(1);
}

}  // namespace

std::vector<std::string> Diagnostics::names() {
  return {"data_gradient", "ensemble_mean",  "ensemble_spread", "misfit",
          "neighbours",    "prior_gradient", "redone"};
}

const std::vector<double>& Diagnostics::named(const std::string& name) const {
  if (name == "data_gradient") return data_gradient;
  if (name == "ensemble_mean") return ensemble_mean;
  if (name == "ensemble_spread") return ensemble_spread;
  if (name == "misfit") return misfit;
  if (name == "neighbours") return neighbours;
  if (name == "prior_gradient") return prior_gradient;
  if (name == "redone") return redone;
  throw InternalError("no diagnostic is named " + name);
}

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

void Monitor::observe(const ParticleBatch& batch, const at::Tensor& misfit, const at::Tensor& data_gradient,
                      const at::Tensor& prior_gradient, const at::Tensor& neighbours, std::int64_t redone) {
  const at::Tensor columns =
      at::stack({misfit.cpu(), mean_square(data_gradient).cpu(), mean_square(prior_gradient).cpu(),
                 neighbours.cpu(), at::full({misfit.size(0)}, static_cast<double>(redone), at::kDouble)},
                1)
          .contiguous();  // [M, kQuantities]
  const double* value = columns.data_ptr<double>();
  own_.insert(own_.end(), value, value + columns.numel());
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
                    kQuantities);
  gathered_.assign(under_way_.size() * static_cast<std::size_t>(group_.size()), 0.0);
  pending_ = group_.start_all_gather(std::as_bytes(std::span(under_way_)),
                                     std::as_writable_bytes(std::span(gathered_)));
  moments_ = std::make_unique<EnsembleMoments>(state.latent_elements(), particles_);
  for (const ParticleBatch& batch : state.batches) moments_->add(batch.z.flatten(1), batch.counted);
  moments_->start(group_);
}

bool Monitor::stalled() const {
  const std::vector<double>& misfit = diagnostics_.misfit;
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
  double sums[kQuantities] = {};
  for (std::int64_t particle = 0; particle < particles_; ++particle) {
    for (std::size_t q = 0; q < kQuantities; ++q) {
      sums[q] += gathered_[static_cast<std::size_t>(particle) * kQuantities + q];
    }
  }
  for (double& sum : sums) {
    sum /= static_cast<double>(particles_);
    if (!std::isfinite(sum)) throw Diverged(under_way_step_);
  }
  diagnostics_.misfit.push_back(sums[0]);
  diagnostics_.data_gradient.push_back(std::sqrt(sums[1]));
  diagnostics_.prior_gradient.push_back(std::sqrt(sums[2]));
  diagnostics_.neighbours.push_back(sums[3]);
  diagnostics_.redone.push_back(sums[4]);
  moments_->wait();
  diagnostics_.ensemble_mean.push_back(std::sqrt(moments_->mean().square().mean().item<double>()));
  diagnostics_.ensemble_spread.push_back(std::sqrt(moments_->variance().mean().item<double>()));
}

Diagnostics Monitor::finish() {
  complete();
  return std::move(diagnostics_);
}

}  // namespace dwgf
