#include "operators/baselines/harmonic_fill.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include <ATen/ATen.h>

namespace dwgf {
namespace {

/// The missing pixels of one channel as the unknowns of a symmetric, positive definite system.
class LaplaceProblem {
 public:
  LaplaceProblem(const float* observed, std::int64_t height, std::int64_t width)
      : height_(height), width_(width) {
    std::vector<std::int64_t> unknown(static_cast<std::size_t>(height * width), -1);
    for (std::int64_t pixel = 0; pixel < height * width; ++pixel) {
      if (observed[pixel] != 0) continue;
      unknown[pixel] = static_cast<std::int64_t>(pixels_.size());
      pixels_.push_back(pixel);
    }
    for (const std::int64_t pixel : pixels_) {
      Row row;
      for (const std::int64_t neighbour : neighbours(pixel)) {
        if (neighbour < 0) continue;
        ++row.degree;
        (unknown[neighbour] < 0 ? row.known[row.known_count++] : row.unknown[row.unknown_count++]) =
            unknown[neighbour] < 0 ? neighbour : unknown[neighbour];
      }
      rows_.push_back(row);
    }
  }

  bool solvable() const {
    return !pixels_.empty() && static_cast<std::int64_t>(pixels_.size()) < height_ * width_;
  }

  /// Writes the solution into the missing pixels of `image`.
  void fill(double* image) const {
    const std::size_t n = pixels_.size();
    std::vector<double> u(n, 0.0), residual(n), direction(n), product(n);
    double limit = 0, energy = 0;
    for (std::size_t i = 0; i < n; ++i) {
      residual[i] = 0;
      for (int k = 0; k < rows_[i].known_count; ++k) residual[i] += image[rows_[i].known[k]];
      limit += residual[i] * residual[i];
    }
    constexpr double relative = 1e-10;
    limit *= relative * relative;
    for (std::size_t i = 0; i < n; ++i) {
      direction[i] = residual[i] / rows_[i].degree;
      energy += residual[i] * direction[i];
    }
    // Exact arithmetic needs n iterations at most; the factor leaves room for rounding.
    for (std::size_t iteration = 0; iteration < 10 * n + 10; ++iteration) {
      double size = 0, curvature = 0;
      for (const double value : residual) size += value * value;
      if (size <= limit) break;
      for (std::size_t i = 0; i < n; ++i) {
        product[i] = rows_[i].degree * direction[i];
        for (int k = 0; k < rows_[i].unknown_count; ++k) product[i] -= direction[rows_[i].unknown[k]];
        curvature += direction[i] * product[i];
      }
      const double step = energy / curvature;
      double next_energy = 0;
      for (std::size_t i = 0; i < n; ++i) {
        u[i] += step * direction[i];
        residual[i] -= step * product[i];
        next_energy += residual[i] * residual[i] / rows_[i].degree;
      }
      const double keep = next_energy / energy;
      energy = next_energy;
      for (std::size_t i = 0; i < n; ++i) direction[i] = residual[i] / rows_[i].degree + keep * direction[i];
    }
    for (std::size_t i = 0; i < n; ++i) image[pixels_[i]] = u[i];
  }

 private:
  struct Row {
    double degree = 0;
    int known_count = 0, unknown_count = 0;
    std::array<std::int64_t, 4> known{}, unknown{};
  };

  std::array<std::int64_t, 4> neighbours(std::int64_t pixel) const {
    const std::int64_t row = pixel / width_, column = pixel % width_;
    return {row > 0 ? pixel - width_ : -1, row + 1 < height_ ? pixel + width_ : -1,
            column > 0 ? pixel - 1 : -1, column + 1 < width_ ? pixel + 1 : -1};
  }

  std::int64_t height_, width_;
  std::vector<std::int64_t> pixels_;
  std::vector<Row> rows_;
};

}  // namespace

at::Tensor harmonic_fill(const at::Tensor& y, const at::Tensor& observed) {
  const at::Tensor mask = observed.to(at::kCPU, at::kFloat).contiguous();  // [C, H, W]
  const at::Tensor x =
      at::mul(y.detach().to(at::kCPU, at::kDouble), mask.to(at::kDouble)).contiguous();  // [B, C, H, W]
  const std::int64_t channels = x.size(1), height = x.size(2), width = x.size(3), pixels = height * width;
  for (std::int64_t c = 0; c < channels; ++c) {
    const LaplaceProblem problem(mask.data_ptr<float>() + c * pixels, height, width);
    if (!problem.solvable()) continue;
    for (std::int64_t b = 0; b < x.size(0); ++b)
      problem.fill(x.data_ptr<double>() + (b * channels + c) * pixels);
  }
  return x.to(y.device(), y.scalar_type());
}

}  // namespace dwgf
