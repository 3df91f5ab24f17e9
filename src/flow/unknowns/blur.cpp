#include "flow/unknowns/blur.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/ATen.h>

#include "flow/unknowns/simplex_least_squares.hpp"
#include "flow/unknowns/tempering.hpp"

namespace dwgf {

namespace {

at::Tensor as_vector(const std::vector<double>& values) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble);
}

std::vector<double> values_of(const at::Tensor& vector) {
  const at::Tensor values = vector.contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

/// u [C, H, W] with `half` more pixels on every side, as the border continues it.
at::Tensor continued(const at::Tensor& u, std::int64_t half, Border border) {
  const std::int64_t sides[] = {half, half, half, half};
  if (half == 0) return u;
  if (border == Border::zero) return at::constant_pad_nd(u, sides);
  if (border == Border::reflect) return at::reflection_pad2d(u, sides);
  return at::pad(u, sides, "circular");
}

/// u_(p - d) for all offsets d of the square, row by row: [size^2, C, H, W] of u [C, H, W].
at::Tensor shifted(const at::Tensor& u, const BlurShape& blur) {
  const std::int64_t half = blur.size / 2;
  const at::Tensor wide = continued(u, half, blur.border);
  std::vector<at::Tensor> columns;
  for (std::int64_t i = 0; i < blur.size; ++i) {
    for (std::int64_t j = 0; j < blur.size; ++j)
      columns.push_back(wide.narrow(1, 2 * half - i, u.size(1)).narrow(2, 2 * half - j, u.size(2)));
  }
  return at::stack(columns);
}

/// sum over neighbours of (k_i - k_j)^2 = k^T L k on a square with zeros around it, [size^2, size^2].
at::Tensor neighbour_differences(std::int64_t size) {
  at::Tensor line = 2.0 * at::eye(size, at::kDouble);
  for (std::int64_t i = 0; i + 1 < size; ++i) {
    line[i][i + 1].fill_(-1.0);
    line[i + 1][i].fill_(-1.0);
  }
  const at::Tensor eye = at::eye(size, at::kDouble);
  return at::kron(line, eye) + at::kron(eye, line);
}

class UnknownBlur final : public Unknown, public TempersLikelihood {
 public:
  explicit UnknownBlur(OpenBlur open) : open_(std::move(open)) {}

  std::string name() const override { return open_.name; }
  std::vector<std::int64_t> shape() const override {
    if (is_free()) return {open_.blur.size, open_.blur.size};
    return {static_cast<std::int64_t>(open_.blur.unknowns())};
  }
  std::vector<double> start() const override { return open_.start(); }

  std::int64_t statistics() const override { return entries() * entries() + entries(); }
  at::Tensor statistics_of(const SeenBatch& batch) const override {
    std::vector<at::Tensor> rows;
    for (std::int64_t n = 0; n < batch.images.size(0); ++n) rows.push_back(of_one(batch, n));
    return at::stack(rows);
  }
  std::vector<double> stepped(const std::vector<double>& value, const at::Tensor& mean,
                              double) const override {
    const std::int64_t n = entries();
    const KernelMisfit misfit{mean.slice(0, 0, n * n).view({n, n}), mean.slice(0, n * n)};
    return is_free() ? likeliest_kernel(misfit, value) : likeliest_parameters(misfit);
  }
  void put(const std::vector<double>& value, ProblemParts& parts) const override {
    parts.forward = open_.with(open_.kernel(value));
  }
  double tempering(double progress, double deviation) const override {
    const double ratio = deviation / kFirstDeviation;
    if (ratio >= 1.0 || progress >= kTemperedShare) return 1.0;
    return std::pow(ratio, 2.0 * (1.0 - progress / kTemperedShare));
  }
  /// Of a kernel its centre (row, column) and its root mean square radius, in pixels.
  std::vector<double> summary(const std::vector<double>& value) const override {
    if (!is_free()) return value;
    const at::Tensor k = open_.kernel(value);
    const at::Tensor offset =
        at::arange(open_.blur.size, at::kDouble) - static_cast<double>(open_.blur.size / 2);
    const at::Tensor rows = k.sum(1), columns = k.sum(0);
    const double row = at::dot(rows, offset).item<double>(), column = at::dot(columns, offset).item<double>();
    const double square = at::dot(rows, (offset - row).square()).item<double>() +
                          at::dot(columns, (offset - column).square()).item<double>();
    return {row, column, std::sqrt(square)};
  }

 private:
  static constexpr double kFirstDeviation = 3.0, kTemperedShare = 0.8;

  bool is_free() const { return open_.blur.family == BlurFamily::kernel; }
  std::int64_t entries() const { return open_.blur.size * open_.blur.size; }

  /// H and b of one particle, [n^2 + n].
  at::Tensor of_one(const SeenBatch& batch, std::int64_t sample) const {
    const at::Tensor x = batch.images.slice(0, sample, sample + 1).to(at::kDouble);
    const at::Tensor u = open_.before ? open_.before->apply(x) : x;
    at::Tensor columns = shifted(u.squeeze(0), open_.blur);
    if (open_.after) columns = open_.after->apply(columns);
    columns = columns.flatten(1);                         // [n, entries of y]
    at::Tensor weights = weights_of(batch, x).flatten();  // of sum 1 over what is observed
    const at::Tensor weighted = columns * weights;
    const at::Tensor y = batch.y.to(at::kDouble).flatten();
    return at::cat({at::matmul(weighted, columns.t()).flatten(), at::mv(weighted, y)}).cpu();
  }

  at::Tensor weights_of(const SeenBatch& batch, const at::Tensor& x) const {
    const ForwardOperator& forward = *batch.parts.forward;
    at::Tensor weights = at::ones_like(batch.y, at::kDouble);
    if (const at::Tensor observed = forward.observed(); observed.defined())
      weights = weights * observed.to(weights.device(), at::kDouble);
    if (batch.parts.noise && !batch.parts.noise->is_homogeneous())
      weights = batch.parts.noise->information(forward.apply(x)) * batch.parts.noise->variance();
    return weights / static_cast<double>(forward.observed_count());
  }

  std::vector<double> likeliest_kernel(const KernelMisfit& misfit, const std::vector<double>& value) const {
    const at::Tensor start = as_vector(value);
    const double n = static_cast<double>(entries());
    const double variance = (misfit.h.diagonal().mean() - misfit.h.mean()).item<double>();
    at::Tensor h = (misfit.h + misfit.h.t()) * 0.5, b = misfit.b;
    if (open_.blur.smooth > 0) h = h + open_.blur.smooth * variance * neighbour_differences(open_.blur.size);
    if (open_.blur.sparse > 0) b = b - open_.blur.sparse * variance / n * (start + 1.0 / n).reciprocal();
    return values_of(least_squares_on_simplex(h, b, start));
  }

  std::vector<double> likeliest_parameters(const KernelMisfit& misfit) const;

  OpenBlur open_;
};

/// One axis of the grid that a search begins with.
struct Axis {
  const BlurParameter* parameter;
  std::int64_t points;

  double at(std::int64_t k) const {
    const double share = parameter->turns ? static_cast<double>(k) / static_cast<double>(points)
                                          : static_cast<double>(k) / static_cast<double>(points - 1);
    return std::lerp(parameter->least, parameter->most, share);
  }
};

std::vector<Axis> axes_of(const BlurShape& blur) {
  constexpr std::int64_t points = 36;
  std::vector<Axis> axes;
  for (const BlurParameter& one : blur.parameters)
    if (!one.known) axes.push_back({&one, points});
  return axes;
}

at::Tensor flat_kernel(const BlurShape& blur, const std::vector<double>& parameters) {
  return blur.kernel(parameters).flatten();
}

/// Within its bounds; an angle that turns, from its other end on.
double bounded(const BlurParameter& parameter, double value) {
  if (!parameter.turns) return std::clamp(value, parameter.least, parameter.most);
  const double turn = 180.0;
  return value - turn * std::floor((value - parameter.least) / turn);
}

std::vector<double> best_of_grid(const BlurShape& blur, const KernelMisfit& misfit) {
  const std::vector<Axis> axes = axes_of(blur);
  std::vector<std::int64_t> at(axes.size(), 0);
  std::vector<double> best;
  double least = 0.0;
  for (;;) {
    std::vector<double> parameters;
    for (std::size_t a = 0; a < axes.size(); ++a) parameters.push_back(axes[a].at(at[a]));
    const double value = misfit.of(flat_kernel(blur, parameters));
    if (best.empty() || value < least) {
      best = parameters;
      least = value;
    }
    std::size_t a = 0;
    while (a < axes.size() && ++at[a] == axes[a].points) at[a++] = 0;
    if (a == axes.size()) return best;
  }
}

/// By Gauss-Newton steps, for as long as they lower the misfit.
void descend(std::vector<double>& parameters, const BlurShape& blur, const KernelMisfit& misfit) {
  constexpr int steps = 40, halvings = 30;
  const std::vector<Axis> axes = axes_of(blur);
  for (int step = 0; step < steps; ++step) {
    const at::Tensor kernel = flat_kernel(blur, parameters);
    const at::Tensor slopes = kernel_derivatives(blur, parameters);  // [p, n]
    at::Tensor curvature = at::matmul(at::matmul(slopes, misfit.h), slopes.t());
    curvature = curvature + 1e-12 * curvature.diagonal().mean().clamp_min(1e-300) *
                                at::eye(curvature.size(0), at::kDouble);
    const std::vector<double> direction =
        values_of(at::linalg_solve(curvature, -at::mv(slopes, misfit.gradient(kernel))));
    const double before = misfit.of(kernel);
    double share = 1.0;
    bool moved = false;
    for (int halving = 0; halving < halvings && !moved; ++halving, share /= 2) {
      std::vector<double> next = parameters;
      for (std::size_t a = 0; a < next.size(); ++a)
        next[a] = bounded(*axes[a].parameter, next[a] + share * direction[a]);
      moved = next != parameters && misfit.of(flat_kernel(blur, next)) <= before;
      if (moved) parameters = std::move(next);
    }
    if (!moved) return;
  }
}

/// By steps along the axes and their diagonals, halved where none lowers the misfit: over the kinks that a
/// segment's or a disc's edge has, where slopes lead nowhere.
void walk(std::vector<double>& parameters, const BlurShape& blur, const KernelMisfit& misfit) {
  constexpr int rounds = 60;
  const std::vector<Axis> axes = axes_of(blur);
  const auto directions = static_cast<int>(std::lround(std::pow(3.0, static_cast<double>(axes.size()))));
  double least = misfit.of(flat_kernel(blur, parameters)), share = 0.5;
  for (int round = 0; round < rounds; ++round) {
    bool moved = false;
    for (int k = 0; k < directions; ++k) {
      std::vector<double> next = parameters;
      for (std::size_t a = 0, digits = static_cast<std::size_t>(k); a < axes.size(); ++a, digits /= 3)
        next[a] = bounded(*axes[a].parameter, next[a] + share * (static_cast<double>(digits % 3) - 1.0) *
                                                            (axes[a].at(1) - axes[a].at(0)));
      const double value = misfit.of(flat_kernel(blur, next));
      if (value >= least) continue;
      least = value;
      parameters = std::move(next);
      moved = true;
    }
    if (!moved) share /= 2;
  }
}

std::vector<double> UnknownBlur::likeliest_parameters(const KernelMisfit& misfit) const {
  std::vector<double> parameters = best_of_grid(open_.blur, misfit);
  descend(parameters, open_.blur, misfit);
  walk(parameters, open_.blur, misfit);
  descend(parameters, open_.blur, misfit);
  return parameters;
}

}  // namespace

std::shared_ptr<const Unknown> make_unknown_blur(OpenBlur open) {
  return std::make_shared<UnknownBlur>(std::move(open));
}

double KernelMisfit::of(const at::Tensor& kernel) const {
  return (0.5 * at::dot(kernel, at::mv(h, kernel)) - at::dot(b, kernel)).item<double>();
}

at::Tensor KernelMisfit::gradient(const at::Tensor& kernel) const {
  return at::mv(h, kernel) - b;
}

at::Tensor kernel_derivatives(const BlurShape& blur, const std::vector<double>& parameters) {
  constexpr double share = 1e-5;
  std::vector<at::Tensor> rows;
  std::size_t a = 0;
  for (const BlurParameter& one : blur.parameters) {
    if (one.known) continue;
    std::vector<double> low = parameters, high = parameters;
    const double step = share * (one.most - one.least);
    low[a] -= step;
    high[a] += step;
    rows.push_back((flat_kernel(blur, high) - flat_kernel(blur, low)) / (high[a] - low[a]));
    ++a;
  }
  return at::stack(rows);
}

}  // namespace dwgf
