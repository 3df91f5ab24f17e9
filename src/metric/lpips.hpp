/// LPIPS (Zhang et al., arXiv 1801.03924), version 0.1: how far two images are apart in the features of a
/// network for classification,
///
///   d(x, x') = sum_l mean_{h, w} sum_c w_l,c (f_l,c(x) - f_l,c(x'))^2,    f_l = phi_l / (|phi_l| + 1e-10)
///
/// phi_l the activations [C_l, h, w] behind five of its rectifiers, |phi_l| their norm over channels at every
/// place, w_l >= 0 learnt ("linear heads"). Images on [-1, 1] are clipped, become (x - shift) / scale with
/// shift = (-0.030, -0.088, -0.188) and scale = (0.458, 0.448, 0.450), and grey ones colour by repetition. As
/// the lpips package of the authors computes it (https://github.com/richzhang/PerceptualSimilarity).
///
/// The network is AlexNet or VGG16, told by the shape of its first layer: features.N.weight and .bias as
/// torchvision names them, and lin0.weight ... lin4.weight [1, C_l, 1, 1].
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "metric/named_tensors.hpp"

namespace dwgf {

class Lpips {
 public:
  /// Throws DataError (named_tensors.hpp).
  explicit Lpips(const NamedTensors& weights);

  /// "AlexNet" or "VGG16"
  const std::string& network() const { return network_; }

  /// d(x, truth) of two images [C, H, W], C = 1 or 3. NaN where a pixel is not finite, and where the images
  /// are too small for the network (AlexNet: below 31 pixels in a direction, VGG16: below 16). Throws
  /// InternalError for other shapes.
  double operator()(const at::Tensor& x, const at::Tensor& truth) const;

 private:
  /// A convolution, behind it a rectifier; before it, maybe, max-pooling; its activations may count.
  struct Layer {
    at::Tensor weight, bias;
    std::int64_t stride, padding;
    std::int64_t pooling;  // 0: none; else the width of the window, whose stride is 2
    at::Tensor head;       // [1, C, 1, 1]; undefined: does not count
  };

  std::vector<at::Tensor> features(const at::Tensor& image) const;

  std::string network_;
  std::int64_t smallest_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace dwgf
