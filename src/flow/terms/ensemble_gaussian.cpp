#include "flow/terms/ensemble_gaussian.hpp"

#include <algorithm>
#include <tuple>

#include <ATen/ATen.h>

namespace dwgf {

namespace {

/// Ledoit and Wolf's alpha. `gram` [N, N] holds the inner products of the centred rows, |S|^2 = |gram|^2 /
/// count^2.
double best_shrinkage(const at::Tensor& gram, double count, double d) {
  const double n = static_cast<double>(gram.size(0));
  const at::Tensor squares = gram.diagonal();                                  // |x_k|^2
  const double moment = gram.square().sum().item<double>() / (count * count);  // |S|^2
  const double trace = squares.sum().item<double>() / count;
  const double spread = moment - trace * trace / d;  // |S - v I|^2
  // sum_k |x_k x_k^T - S|^2 = sum_k |x_k|^4 - 2 <sum_k x_k x_k^T, S> + N |S|^2
  const double scatter = squares.square().sum().item<double>() - (2.0 * count - n) * moment;
  return spread > 0.0 ? std::clamp(scatter / (n * n * spread), 0.0, 1.0) : 1.0;
}

}  // namespace

EnsembleGaussian::EnsembleGaussian(const at::Tensor& rows, CovarianceKind kind) {
  const at::Tensor values = rows.to(at::kDouble);  // [N, d]
  const std::int64_t n = values.size(0), d = values.size(1);
  mean_ = values.mean(0);
  const at::Tensor x = values - mean_;  // [N, d]
  const double count = static_cast<double>(std::max<std::int64_t>(1, n - 1));

  complete_ = n > d;
  if (complete_) {
    std::tie(eigenvalues_, axes_) = at::linalg_eigh(at::matmul(x.t(), x) / count);  // [d], [d, d]
  } else {
    const auto [values_of_gram, vectors] = at::linalg_eigh(at::matmul(x, x.t()));  // [N], [N, N]
    eigenvalues_ = values_of_gram / count;
    const at::Tensor length = values_of_gram.clamp_min(0.0).sqrt();  // [N]
    const at::Tensor there = length > 1e-7 * length.max();
    axes_ = at::where(there, at::matmul(x.t(), vectors) / length, 0.0);  // [d, N]
    eigenvalues_ = at::where(there, eigenvalues_, 0.0);
  }
  eigenvalues_ = eigenvalues_.clamp_min(0.0);
  mean_variance_ = eigenvalues_.sum().item<double>() / static_cast<double>(d);
  if (kind == CovarianceKind::lowrank)
    shrinkage_ = best_shrinkage(at::matmul(x, x.t()), count, static_cast<double>(d));
  elsewhere_ = at::full({1}, shrinkage_ * mean_variance_, values.options());
  eigenvalues_ = elsewhere_ + (1.0 - shrinkage_) * eigenvalues_;
}

at::Tensor EnsembleGaussian::apply(const at::Tensor& x,
                                   const std::function<at::Tensor(const at::Tensor&)>& f) const {
  const at::Tensor values = x.to(at::kDouble);         // [M, d]
  const at::Tensor along = at::matmul(values, axes_);  // [M, k]
  if (complete_) return at::matmul(along * f(eigenvalues_), axes_.t()).to(x.scalar_type());
  const at::Tensor across = f(elsewhere_);  // [1]
  return (values * across + at::matmul(along * (f(eigenvalues_) - across), axes_.t())).to(x.scalar_type());
}

at::Tensor EnsembleGaussian::score(const at::Tensor& z_t, double a, double s) const {
  return apply(a * mean_ - z_t,
               [&](const at::Tensor& variance) { return (a * a * variance + s * s).reciprocal(); })
      .to(z_t.scalar_type());
}

}  // namespace dwgf
