/// A convolution whose weights were brought into oneDNN's own blocked format once, where at::conv2d does so
/// in every call. LibTorch has it as operators of its compiler, mkldnn::_convolution_pointwise
/// (aten/src/ATen/native/mkldnn/Conv.cpp); a LibTorch without them never serves. Private to the prior layer.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace dwgf {

class PackedConvolution {
 public:
  /// Whether x is float32, or bfloat16 on a processor with AVX-512 and VNNI, on a CPU, and no gradient is
  /// recorded.
  static bool serves(const at::Tensor& x);

  bool empty() const { return !weight_.defined(); }
  /// @pre `weight` [out, in, k, k] is dense, x is like what it will be applied to: the format is chosen for
  /// its shape. Others give the same values.
  void pack(const at::Tensor& weight, const at::Tensor& x, std::int64_t stride, std::int64_t padding);
  at::Tensor dense() const;

  /// conv(x) + bias + more, in the memory format of x; `bias` and `more` may be undefined.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias, const at::Tensor& more = {}) const;

 private:
  at::Tensor weight_;
  std::int64_t stride_ = 1, padding_ = 0;
};

}  // namespace dwgf
