// A Gaussian Markov field as a prior, whose score is known exactly, whole and in windows: what windows
// (prior/windows.hpp) add to a posterior mean can be computed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/prior/prior.hpp>

#include "prior/windows.hpp"

namespace dwgf::test {

/// z ~ N(0, C) on a grid, C = K K' of rows and columns, K_ij = rho^|i - j|: a product of autoregressions, in
/// which a pixel depends on its eight neighbours only. A window of any size is told its own law, exactly:
/// eps = s (a^2 C + s^2 I)^-1 z_t.
class MarkovField final : public Denoiser {
 public:
  explicit MarkovField(double rho) : rho_(rho) {}

  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    const auto& [rows, row_axes] = law(z_t.size(2));
    const auto& [columns, column_axes] = law(z_t.size(3));
    const at::Tensor variance = level.signal * level.signal * rows.unsqueeze(1) * columns.unsqueeze(0) +
                                level.noise * level.noise;  // [h, w]
    const at::Tensor along_axes = row_axes.t().matmul(z_t).matmul(column_axes) / variance;
    return level.noise * row_axes.matmul(along_axes).matmul(column_axes.t());
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return {noise(z_t, level, given),
            [this, level, given](const at::Tensor& c) { return noise(c, level, given); }};
  }
  /// `count` fields of n x n, [n n, count].
  at::Tensor draws(std::int64_t n, std::int64_t count) const {
    const auto& [variances, axes] = law(n);
    const at::Tensor root = axes * variances.sqrt();
    return root.matmul(at::randn({count, n, n}, at::kDouble)).matmul(root.t()).reshape({count, n * n}).t();
  }

 private:
  /// Variances and axes of K of size n.
  const std::tuple<at::Tensor, at::Tensor>& law(std::int64_t n) const {
    auto& known = laws_[n];
    if (std::get<0>(known).defined()) return known;
    const at::Tensor i = at::arange(n, at::kDouble);
    known = at::linalg_eigh(at::pow(rho_, (i.unsqueeze(0) - i.unsqueeze(1)).abs()));
    return known;
  }

  double rho_;
  mutable std::map<std::int64_t, std::tuple<at::Tensor, at::Tensor>> laws_;
};

/// What windows do to a posterior mean m.
struct WindowEffect {
  /// |m_windows - m| / |m - truth|: what they add to the error, as a share of the mean's own.
  double added_error = 0.0;
  /// Mean |difference| of neighbours across the borders of windows at rest over that elsewhere, against the
  /// same of m: 1 where there is no seam.
  double seam = 1.0;
};

/// A field's inverse problem: every other pixel of every other row is seen, with noise of 0.1.
class FieldProblem {
 public:
  FieldProblem(double rho, std::int64_t n)
      : field_(std::make_shared<MarkovField>(rho)),
        prior_{.path = nullptr,
               .denoiser = field_,
               .codec = std::make_shared<IdentityCodec>(),
               .geometry = {.image_channels = 1, .latent_channels = 1},
               .options = at::TensorOptions(at::kDouble),
               .sha256 = ""},
        n_(n) {
    const at::Tensor seen = at::arange(n, at::kDouble).remainder(2).eq(0).to(at::kDouble);
    observed_ = (seen.unsqueeze(1) * seen.unsqueeze(0)).flatten() / 0.01;  // A' A / sigma^2
    truth_ = field_->draws(n, 64);
    measured_ = truth_ + 0.1 * at::randn_like(truth_);
    mean_ = mean(precision(prior_));
  }

  /// Of windows that move, the precision is that of `moves` steps in the mean.
  WindowEffect effect(std::int64_t size, std::int64_t overlap, std::int64_t moves = 0) const {
    const Prior windowed = with_windows(prior_, {size, overlap, moves > 0});
    at::Tensor sum = at::zeros({n_ * n_, n_ * n_}, at::kDouble);
    MovingWindows windows(windowed, 3, 0);
    for (std::int64_t step = 0; step < std::max<std::int64_t>(moves, 1); ++step) {
      windows.enter(step);
      sum += precision(windowed);
    }
    const at::Tensor found = mean(sum / static_cast<double>(std::max<std::int64_t>(moves, 1)));
    return {((found - mean_).norm() / (mean_ - truth_).norm()).item<double>(),
            across_borders(found, size, overlap) / across_borders(mean_, size, overlap)};
  }

 private:
  /// -d score / d z at an almost clean level, from the noise of every unit vector: [n n, n n].
  at::Tensor precision(const Prior& of) const {
    const Level clean{.signal = 1.0, .noise = 0.02};
    const at::Tensor units = at::eye(n_ * n_, at::kDouble).reshape({n_ * n_, 1, n_, n_});
    return (of.noise(units, clean) / clean.noise).reshape({n_ * n_, n_ * n_}).t();
  }
  at::Tensor mean(const at::Tensor& precision) const {
    return at::linalg_solve(precision + at::diag(observed_), observed_.unsqueeze(1) * measured_);
  }

  /// Mean |difference| across borders over that elsewhere, along rows and columns, of fields [n n, draws].
  double across_borders(const at::Tensor& fields, std::int64_t size, std::int64_t overlap) const {
    at::Tensor is_border = at::zeros({n_ - 1}, at::kDouble);
    for (const std::int64_t start : axis_windows(n_, size, overlap).starts)
      for (const std::int64_t edge : {start, start + size})
        if (edge > 0 && edge < n_) is_border[edge - 1] = 1.0;
    const at::Tensor x = fields.reshape({n_, n_, -1});
    const at::Tensor differences =
        x.diff(1, 0).abs().mean(at::IntArrayRef{1, 2}) + x.diff(1, 1).abs().mean(at::IntArrayRef{0, 2});
    const at::Tensor elsewhere = 1.0 - is_border;
    return ((differences * is_border).sum() / is_border.sum() * elsewhere.sum() /
            (differences * elsewhere).sum())
        .item<double>();
  }

  std::shared_ptr<const MarkovField> field_;
  Prior prior_;
  std::int64_t n_;
  at::Tensor observed_, truth_, measured_, mean_;  // [n n], [n n, draws]
};

}  // namespace dwgf::test
