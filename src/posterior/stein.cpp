#include "posterior/stein.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include <dwgf/flow/fixed_point.hpp>

#include "base/precondition.hpp"
#include "flow/tensor_bytes.hpp"
#include "posterior/resampling.hpp"

namespace dwgf {

namespace {

/// Pairs are made in blocks of at most so many values, whatever the layout.
constexpr std::int64_t kLargestBlock = std::int64_t{1} << 22;
constexpr std::int64_t kResamples = 499;

/// s(z) of one micro-batch, [M, c, h, w].
at::Tensor posterior_score(const Problem& problem, const DataTerm& data_term, double sigma,
                           const ParticleBatch& batch) {
  const Level level = problem.prior.path->nearly_clean();
  const double a = level.signal, s = level.noise;
  const at::Tensor prior = problem.prior.noise(batch.z * a, level) * (-a / s);
  const double observed = static_cast<double>(problem.forward.observed_count());
  return prior - data_term.gradient(batch.z, batch.first, 0).gradient * (observed / (sigma * sigma));
}

/// The mean of |z^i - z^j|^2 over pairs: twice the sum of the variances.
double mean_squared_distance(const FlowState& state, Collective& group) {
  EnsembleMoments moments(state.latent_elements(), state.share.particles);
  for (const ParticleBatch& batch : state.batches) moments.add(batch.z.flatten(1).cpu(), batch.counted);
  moments.start(group);
  moments.wait();
  return 2.0 * moments.variance().sum().item<double>();
}

/// The sums over j != i of u(z^i, z^j) w_j for every column of `signs` [N, columns]: float64 [columns]. `all`
/// holds z and s of all particles, [N, 2, d].
at::Tensor row_sums(const at::Tensor& all, std::int64_t i, double h2, const at::Tensor& signs) {
  const std::int64_t n = all.size(0), d = all.size(2), rows = std::max<std::int64_t>(1, kLargestBlock / d);
  const at::Tensor z = all[i][0], s = all[i][1];  // [d]
  at::Tensor u = at::empty({n}, at::kDouble);
  for (std::int64_t first = 0; first < n; first += rows) {
    const at::Tensor others = all.slice(0, first, std::min(n, first + rows));
    const at::Tensor z_j = others.select(1, 0), s_j = others.select(1, 1);  // [rows, d]
    const at::Tensor apart = z - z_j;                                       // [rows, d]
    const at::Tensor r2 = apart.square().sum(1) / h2;                       // [rows]
    const at::Tensor k = (1.0 + r2).rsqrt();                                // [rows]
    const at::Tensor k3 = k * k * k / h2;                                   // [rows]
    u.slice(0, first, first + others.size(0))
        .copy_((s_j * s).sum(1) * k + ((s - s_j) * apart).sum(1) * k3 + k3 * static_cast<double>(d) -
               3.0 * r2 * k3 * k * k);
  }
  u[i].zero_();
  at::Tensor sums = at::zeros({signs.size(1)}, at::kDouble);
  for (std::int64_t j = 0; j < n; ++j) sums.add_(signs[j] * u[j]);  // in particle order
  return sums;
}

}  // namespace

SteinDiscrepancy stein_discrepancy(const Problem& problem, const FlowState& state, double sigma,
                                   Collective& group) {
  precondition(sigma > 0.0, "the noise's sigma > 0");
  const std::int64_t n = state.share.particles, d = state.latent_elements(),
                     micro_batch = state.share.micro_batch;
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  if (n < 2) return {none, none};
  const double h2 = mean_squared_distance(state, group);

  // The data term alone, at the particles as they are.
  const DataTerm data_term(problem, {.decoder_std = 0.0, .consistency = 0.0}, 0);
  const std::int64_t slots = state.share.batches_per_rank * micro_batch;
  at::Tensor own = at::zeros({slots, 2, d}, at::kDouble);
  for (std::size_t b = 0; b < state.batches.size(); ++b) {
    const ParticleBatch& batch = state.batches[b];
    if (batch.counted == 0) continue;
    const at::Tensor rows = own.slice(0, static_cast<std::int64_t>(b) * micro_batch,
                                      static_cast<std::int64_t>(b + 1) * micro_batch);  // [M, 2, d]
    rows.select(1, 0).copy_(batch.z.flatten(1));
    rows.select(1, 1).copy_(posterior_score(problem, data_term, sigma, batch).flatten(1));
  }
  const at::Tensor gathered = at::empty({group.size() * slots, 2, d}, at::kDouble);
  group.all_gather(bytes_of(own), bytes_of(gathered));
  const at::Tensor all = gathered.slice(0, 0, n);  // [N, 2, d]

  // The first column is the discrepancy itself.
  const at::Tensor signs =
      at::cat({at::ones({n, 1}, at::kDouble), resampling_signs(n, kResamples, problem.image)}, 1);
  const at::Tensor own_sums = at::zeros({slots, signs.size(1)}, at::kDouble);
  for (std::int64_t k = 0; k < state.share.count(); ++k) {
    const std::int64_t i = state.share.first_particle() + k;
    own_sums[k].copy_(signs[i] * row_sums(all, i, h2, signs));
  }
  const at::Tensor all_sums = at::empty({group.size() * slots, signs.size(1)}, at::kDouble);
  group.all_gather(bytes_of(own_sums), bytes_of(all_sums));
  at::Tensor sums = at::zeros({signs.size(1)}, at::kDouble);
  for (std::int64_t i = 0; i < n; ++i) sums.add_(all_sums[i]);  // in particle order
  const double pairs = static_cast<double>(n) * static_cast<double>(n - 1) * static_cast<double>(d);
  const double as_large = sums.slice(0, 1).ge(sums[0]).sum().item<double>();
  return {sums[0].item<double>() / pairs, (1 + as_large) / (1 + kResamples)};
}

}  // namespace dwgf
