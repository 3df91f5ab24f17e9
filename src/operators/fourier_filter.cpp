#include "operators/fourier_filter.hpp"

#include <algorithm>

#include <ATen/ATen.h>

namespace dwgf {
namespace {

struct Half {
  std::int64_t rows, columns;
};

Half half_of(const at::Tensor& kernel) {
  return {kernel.size(0) / 2, kernel.size(1) / 2};
}

/// The spectrum of the kernel with its centre at (0, 0), wrapped onto height x width: [height, width / 2 + 1]
at::Tensor transfer_function(const at::Tensor& kernel, std::int64_t height, std::int64_t width) {
  const auto [rows, columns] = half_of(kernel);
  at::Tensor wrapped = at::zeros({height, width}, kernel.options());
  // Circular borders take kernels that wrap around and meet themselves.
  for (std::int64_t i = 0; i < kernel.size(0); i += height) {
    for (std::int64_t j = 0; j < kernel.size(1); j += width) {
      const std::int64_t h = std::min(height, kernel.size(0) - i), w = std::min(width, kernel.size(1) - j);
      at::Tensor piece = at::zeros({height, width}, kernel.options());
      piece.narrow(0, 0, h).narrow(1, 0, w).copy_(kernel.narrow(0, i, h).narrow(1, j, w));
      wrapped.add_(piece);
    }
  }
  return at::fft_rfft2(wrapped.roll({-rows, -columns}, {0, 1}));
}

at::Tensor filtered(const at::Tensor& x, const at::Tensor& transfer) {
  return at::fft_irfft2(at::fft_rfft2(x) * transfer, at::IntArrayRef({x.size(1), x.size(2)}));
}

at::Tensor extended(const at::Tensor& x, const Half& half, Border border) {
  if (border == Border::circular) return x;
  const std::int64_t sides[] = {half.columns, half.columns, half.rows, half.rows};
  return border == Border::zero ? at::constant_pad_nd(x, sides) : at::reflection_pad2d(x, sides);
}

/// The adjoint of reflecting `half` values at both ends of dimension `dim`.
at::Tensor folded(const at::Tensor& padded, std::int64_t dim, std::int64_t half) {
  const std::int64_t size = padded.size(dim) - 2 * half;
  at::Tensor core = padded.narrow(dim, half, size).clone();
  if (half == 0) return core;
  core.narrow(dim, 1, half).add_(padded.narrow(dim, 0, half).flip(dim));
  core.narrow(dim, size - 1 - half, half).add_(padded.narrow(dim, half + size, half).flip(dim));
  return core;
}

}  // namespace

FourierConvolution::FourierConvolution(const at::Tensor& kernel, Border border, std::int64_t height,
                                       std::int64_t width)
    : kernel_(kernel),
      rows_(kernel.size(0) / 2),
      columns_(kernel.size(1) / 2),
      height_(border == Border::circular ? height : height + 2 * rows_),
      width_(border == Border::circular ? width : width + 2 * columns_),
      border_(border) {}

const at::Tensor& FourierConvolution::spectrum(const at::Tensor& like) const {
  return spectrum_.like(like, [&] { return transfer_function(kernel_.like(like), height_, width_); });
}

at::Tensor FourierConvolution::apply(const at::Tensor& x) const {
  const at::Tensor y = filtered(extended(x, {rows_, columns_}, border_), spectrum(x));
  if (border_ == Border::circular) return y;
  return y.narrow(1, rows_, x.size(1)).narrow(2, columns_, x.size(2));
}

at::Tensor FourierConvolution::adjoint(const at::Tensor& r) const {
  const Border around = border_ == Border::circular ? Border::circular : Border::zero;
  const at::Tensor x = filtered(extended(r, {rows_, columns_}, around), spectrum(r).conj());
  if (border_ == Border::circular) return x;
  if (border_ == Border::zero) return x.narrow(1, rows_, r.size(1)).narrow(2, columns_, r.size(2));
  return folded(folded(x, 1, rows_), 2, columns_);
}

at::Tensor wiener_filter(const at::Tensor& y, const at::Tensor& kernel, Border border, double sigma) {
  const at::Tensor k = kernel.to(y.device(), at::kDouble), observed = y.to(at::kDouble);
  const double noise = sigma * sigma;
  const double signal = std::max(observed.var(/*unbiased=*/false).item<double>() - noise, noise / 100);
  const double ratio = signal > 0 ? std::max(noise / signal, 1e-6) : 1;
  const double sum = k.sum().item<double>();
  const at::Tensor mean = observed.mean(at::IntArrayRef({1, 2}), /*keepdim=*/true);  // [C, 1, 1]
  const Half half = half_of(k);
  at::Tensor wide = observed - mean;
  if (border == Border::reflect) {
    wide = at::cat({wide, wide.flip(1)}, 1);
    wide = at::cat({wide, wide.flip(2)}, 2);  // [C, 2 H, 2 W]
  } else {
    wide = extended(wide, half, border);
  }
  const at::Tensor transfer = transfer_function(k, wide.size(1), wide.size(2));
  const at::Tensor inverse = transfer.conj() / (transfer.abs().square() + ratio);
  at::Tensor x = filtered(wide, inverse);
  if (border == Border::zero) x = x.narrow(1, half.rows, y.size(1)).narrow(2, half.columns, y.size(2));
  x = x.narrow(1, 0, y.size(1)).narrow(2, 0, y.size(2));
  return (x + (sum != 0 ? mean / sum : mean)).to(y.scalar_type());  // [C, H, W]
}

}  // namespace dwgf
