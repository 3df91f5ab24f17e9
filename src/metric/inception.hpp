/// The features that FID compares: the 2048 averages over places of the last mixed layer of Inception v3,
/// with the weights and the deviations of the network that FID was defined by (Heusel et al., arXiv
/// 1706.08500), as pytorch-fid has them (https://github.com/mseitzer/pytorch-fid, inception.py): average
/// pooling does not count padding, the last block pools by maxima.
///
/// Images on [-1, 1] are clipped and rounded to 8 bits, as pictures are stored, grey ones become colour by
/// repetition, and all are resized to 299 x 299 by bilinear interpolation (pixel centres at halves, no
/// antialiasing).
///
/// Weights are named as in the published file: NAME.conv.weight, NAME.bn.weight, .bias, .running_mean,
/// .running_var.
#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include "metric/named_tensors.hpp"

namespace dwgf {

class Inception {
 public:
  static constexpr std::int64_t kFeatures = 2048;

  /// Throws DataError (named_tensors.hpp).
  explicit Inception(const NamedTensors& weights);

  /// [B, C, H, W], C = 1 or 3 -> [B, 2048], float32
  at::Tensor operator()(const at::Tensor& images) const;

 private:
  /// Convolution, normalisation by stored statistics, rectifier.
  struct Unit {
    at::Tensor weight, scale, shift, mean, variance;
    std::int64_t stride;
    std::int64_t padding[2];
  };

  at::Tensor apply(const std::string& name, const at::Tensor& x) const;
  at::Tensor apply_all(const std::string& block, std::initializer_list<const char*> names,
                       at::Tensor x) const;
  at::Tensor block_a(const std::string& name, const at::Tensor& x) const;
  at::Tensor block_b(const std::string& name, const at::Tensor& x) const;
  at::Tensor block_c(const std::string& name, const at::Tensor& x) const;
  at::Tensor block_d(const std::string& name, const at::Tensor& x) const;
  at::Tensor block_e(const std::string& name, const at::Tensor& x, bool pool_by_maxima) const;

  std::map<std::string, Unit> units_;
};

}  // namespace dwgf
