#include "flow/terms/interaction.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/flow/fixed_point.hpp>

#include "flow/diverged.hpp"
#include "flow/draws.hpp"
#include "flow/gathered_rows.hpp"
#include "flow/tensor_bytes.hpp"
#include "flow/terms/ensemble_gaussian.hpp"

namespace dwgf {

namespace {

/// Distances are made in blocks of at most this many values, whatever N: what a core's cache holds, or what a
/// device is busy with.
constexpr std::int64_t kLargestBlock = std::int64_t{1} << 17, kLargestDeviceBlock = std::int64_t{1} << 22;

/// |p_i - scale q_j|^2 for p [M, d], q [N, d]: [M, N]. By differences, not by |p|^2 - 2 p.q + |q|^2, which
/// loses the small distances that decide. Blocks depend on M, N and d alone.
at::Tensor squared_distances(const at::Tensor& p, const at::Tensor& q, double scale) {
  const std::int64_t largest = p.is_cpu() ? kLargestBlock : kLargestDeviceBlock;
  const std::int64_t rows = std::max<std::int64_t>(1, largest / std::max<std::int64_t>(1, p.numel()));
  at::Tensor out = at::empty({p.size(0), q.size(0)}, p.options());  // [M, N]
  for (std::int64_t j = 0; j < q.size(0); j += rows) {
    const std::int64_t end = std::min(j + rows, q.size(0));
    at::Tensor difference = at::sub(p.unsqueeze(1), q.slice(0, j, end).unsqueeze(0), scale);  // [M, rows, d]
    out.slice(1, j, end).copy_(difference.square_().sum(-1));
  }
  return out;
}

at::Tensor per_sample(const at::Tensor& z, double value) {
  return at::full({z.size(0)}, value, at::TensorOptions().dtype(at::kDouble));
}

class NoInteraction final : public Interaction {
 public:
  void begin(const FlowState&) override {}
  void finish(const FlowState&) override {}

  InteractionScore score(const FlowState&, std::size_t, const NoisedBatch& noised) const override {
    return {noised.eps * (-1.0 / noised.s), per_sample(noised.eps, 1.0)};
  }
};

class MixtureInteraction final : public Interaction {
 public:
  explicit MixtureInteraction(Collective& group) : positions_(group) {}

  void begin(const FlowState& state) override { positions_.begin(state); }
  void finish(const FlowState& state) override { positions_.finish(state); }

  InteractionScore score(const FlowState&, std::size_t, const NoisedBatch& noised) const override {
    const double s2 = noised.s * noised.s;
    const at::Tensor z_t = noised.z_t.flatten(1);                                           // [M, d]
    const at::Tensor d2 = squared_distances(z_t, positions_.all(), noised.a);               // [M, N]
    const at::Tensor w = at::softmax(d2 * (-1.0 / (2.0 * s2)), 1);                          // [M, N]
    const at::Tensor g = (z_t - noised.a * at::matmul(w, positions_.all())) * (-1.0 / s2);  // [M, d]
    return {g.view_as(noised.z_t), w.to(at::kDouble).square().sum(1).reciprocal()};
  }

 private:
  GatheredRows positions_;
};

class GaussianInteraction final : public Interaction {
 public:
  explicit GaussianInteraction(Collective& group) : group_(group) {}

  void begin(const FlowState& state) override {
    moments_ = std::make_unique<EnsembleMoments>(state.latent_elements(), state.share.particles,
                                                 state.options.device());
    for (const ParticleBatch& batch : state.batches) moments_->add(batch.z.flatten(1), batch.counted);
    moments_->start(group_);
  }

  void finish(const FlowState& state) override {
    moments_->wait();
    // On a device the answer would have to be waited for; a NaN in the mean tells it at the next record.
    if (state.options.device().is_cpu() && moments_->diverged()) throw Diverged(state.step);
    mean_ = moments_->mean().to(state.options);          // [d]
    variance_ = moments_->variance().to(state.options);  // [d]
  }

  InteractionScore score(const FlowState& state, std::size_t, const NoisedBatch& noised) const override {
    const double a = noised.a;
    const at::Tensor z_t = noised.z_t.flatten(1);                                        // [M, d]
    const at::Tensor g = (a * mean_ - z_t) / (a * a * variance_ + noised.s * noised.s);  // [M, d]
    return {g.view_as(noised.z_t), per_sample(z_t, static_cast<double>(state.share.particles))};
  }

 private:
  Collective& group_;
  std::unique_ptr<EnsembleMoments> moments_;
  at::Tensor mean_, variance_;
};

/// Throws where any position is not finite. On a device the answer would have to be waited for; a NaN in the
/// positions tells it at the next record.
void require_finite(const at::Tensor& positions, const FlowState& state) {
  if (positions.device().is_cpu() && !at::isfinite(positions).all().item<bool>()) throw Diverged(state.step);
}

class CovarianceInteraction final : public Interaction {
 public:
  CovarianceInteraction(CovarianceKind kind, Collective& group) : kind_(kind), positions_(group) {}

  void begin(const FlowState& state) override { positions_.begin(state); }

  void finish(const FlowState& state) override {
    positions_.finish(state);
    require_finite(positions_.all(), state);
    ensemble_.emplace(positions_.all(), kind_);
  }

  InteractionScore score(const FlowState& state, std::size_t, const NoisedBatch& noised) const override {
    const at::Tensor g = ensemble_->score(noised.z_t.flatten(1), noised.a, noised.s);  // [M, d]
    return {g.view_as(noised.z_t), per_sample(g, static_cast<double>(state.share.particles))};
  }

 private:
  CovarianceKind kind_;
  GatheredRows positions_;
  std::optional<EnsembleGaussian> ensemble_;
};

/// The two values in the middle of an even number of them, in float64. The search for a k-th value takes a
/// third of the sorting's time on a CPU, and LibTorch has no deterministic one on GPUs.
std::pair<at::Tensor, at::Tensor> middle_values(const at::Tensor& values) {
  const std::int64_t half = values.numel() / 2;
  const at::Tensor sorted = values.is_cpu() ? at::Tensor() : std::get<0>(values.sort());
  const auto ranked = [&](std::int64_t k) {  // from 1
    return (sorted.defined() ? sorted[k - 1] : std::get<0>(values.kthvalue(k))).to(at::kDouble);
  };
  return {ranked(half), ranked(half + 1)};
}

/// The median of all |z^i - z^j|^2 with i != j, from the full table [N, N], N > 1: the mean of the two middle
/// values, as their number N (N - 1) is even. A scalar, float64.
at::Tensor median_off_diagonal(const at::Tensor& squared) {
  const std::int64_t n = squared.size(0);
  // Behind its first value, the table in rows of n + 1 has the diagonal as its last column.
  const at::Tensor off = squared.flatten().slice(0, 1).view({n - 1, n + 1}).slice(1, 0, n).flatten();
  const auto [lower, upper] = middle_values(off);
  return lower + 0.5 * (upper - lower);
}

class RepulsionInteraction final : public Interaction {
 public:
  RepulsionInteraction(double strength, Collective& group)
      : strength_(strength), group_(group), positions_(group) {}

  void begin(const FlowState& state) override { positions_.begin(state); }

  void finish(const FlowState& state) override {
    positions_.finish(state);
    const std::int64_t n = state.share.particles;
    if (n < 2) return;
    const std::int64_t slots = state.share.batches_per_rank * state.share.micro_batch;
    at::Tensor all_rows = at::zeros({group_.size() * slots, n}, state.options);         // [ranks slots, N]
    own_rows_ = all_rows.slice(0, group_.rank() * slots, (group_.rank() + 1) * slots);  // [slots, N]
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      const std::int64_t first = static_cast<std::int64_t>(b) * state.share.micro_batch;
      own_rows_.slice(0, first, first + state.share.micro_batch)
          .copy_(squared_distances(state.batches[b].z.flatten(1), positions_.all(), 1.0));
    }
    group_.all_gather(bytes_of(own_rows_), bytes_of(all_rows));
    const at::Tensor median = median_off_diagonal(all_rows.slice(0, 0, n));
    // On a device the answer would have to be waited for; a NaN in the positions tells it at the next record.
    if (state.options.device().is_cpu() && !std::isfinite(median.item<double>())) throw Diverged(state.step);
    bandwidth2_ = median / (2.0 * std::log(static_cast<double>(n)));
  }

  InteractionScore score(const FlowState& state, std::size_t batch,
                         const NoisedBatch& noised) const override {
    at::Tensor g = noised.eps * (-1.0 / noised.s);  // [M, c, h, w]
    if (state.share.particles > 1) {
      const std::int64_t first = static_cast<std::int64_t>(batch) * state.share.micro_batch;
      const at::Tensor r2 = own_rows_.slice(0, first, first + state.share.micro_batch);  // [M, N]
      at::Tensor k = at::exp(r2 * (-0.5 / bandwidth2_));                                 // [M, N]
      k = k / k.sum(1, true);
      const at::Tensor z = state.batches[batch].z.flatten(1);                                      // [M, d]
      const at::Tensor push = (z - at::matmul(k, positions_.all())) * (-strength_ / bandwidth2_);  // [M, d]
      // Coincident particles have no direction to be pushed in.
      g = g + at::where(bandwidth2_ > 0.0, push, at::zeros_like(push)).view_as(g);
    }
    return {g, per_sample(g, 1.0)};
  }

 private:
  double strength_;
  Collective& group_;
  GatheredRows positions_;
  at::Tensor own_rows_;    // [slots, N], |z^i - z^j|^2
  at::Tensor bandwidth2_;  // h^2, a scalar
};

}  // namespace

NoisedBatch add_noise(const ParticleBatch& batch, const Level& level, DrawAddress address) {
  NoisedBatch noised{{}, {}, level.signal, level.noise};
  address.particle = static_cast<std::uint32_t>(batch.first);
  noised.eps = normals_like(batch.z, address);
  noised.z_t = noised.a * batch.z + noised.s * noised.eps;
  return noised;
}

std::unique_ptr<Interaction> make_interaction(const InteractionOptions& options, Collective& group) {
  switch (options.kind) {
    case InteractionKind::mixture:
      return std::make_unique<MixtureInteraction>(group);
    case InteractionKind::gaussian:
      if (options.covariance != CovarianceKind::diagonal)
        return std::make_unique<CovarianceInteraction>(options.covariance, group);
      return std::make_unique<GaussianInteraction>(group);
    case InteractionKind::repulsion:
      return std::make_unique<RepulsionInteraction>(options.repulsion, group);
    case InteractionKind::none:
      return std::make_unique<NoInteraction>();
  }
  throw InternalError("unknown interaction");
}

}  // namespace dwgf
