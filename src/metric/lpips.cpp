#include "metric/lpips.hpp"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

namespace {

/// One convolution of a network, as torchvision builds it.
struct Plan {
  std::int64_t index;  // in `features`
  std::int64_t in, out, kernel, stride, padding;
  std::int64_t pooling;
  bool counts;
};

const std::vector<Plan> kAlexNet = {{0, 3, 64, 11, 4, 2, 0, true},
                                    {3, 64, 192, 5, 1, 2, 3, true},
                                    {6, 192, 384, 3, 1, 1, 3, true},
                                    {8, 384, 256, 3, 1, 1, 0, true},
                                    {10, 256, 256, 3, 1, 1, 0, true}};

const std::vector<Plan> kVgg16 = {
    {0, 3, 64, 3, 1, 1, 0, false},    {2, 64, 64, 3, 1, 1, 0, true},     {5, 64, 128, 3, 1, 1, 2, false},
    {7, 128, 128, 3, 1, 1, 0, true},  {10, 128, 256, 3, 1, 1, 2, false}, {12, 256, 256, 3, 1, 1, 0, false},
    {14, 256, 256, 3, 1, 1, 0, true}, {17, 256, 512, 3, 1, 1, 2, false}, {19, 512, 512, 3, 1, 1, 0, false},
    {21, 512, 512, 3, 1, 1, 0, true}, {24, 512, 512, 3, 1, 1, 2, false}, {26, 512, 512, 3, 1, 1, 0, false},
    {28, 512, 512, 3, 1, 1, 0, true}};

/// The network's input for an image [C, H, W]: [1, 3, H, W].
at::Tensor scaled(const at::Tensor& image) {
  const at::Tensor shift = at::tensor({-0.030F, -0.088F, -0.188F}).view({1, 3, 1, 1});
  const at::Tensor scale = at::tensor({0.458F, 0.448F, 0.450F}).view({1, 3, 1, 1});
  const at::Tensor colour = image.detach().to(at::kCPU, at::kFloat).clamp(-1, 1).expand({3, -1, -1});
  return (colour.unsqueeze(0) - shift) / scale;
}

}  // namespace

Lpips::Lpips(const NamedTensors& weights) {
  const auto first = weights.find("features.0.weight");
  const bool alex = first != weights.end() && first->second.dim() == 4 && first->second.size(2) == 11;
  network_ = alex ? "AlexNet" : "VGG16";
  smallest_ = alex ? 31 : 16;
  int head = 0;
  for (const Plan& plan : alex ? kAlexNet : kVgg16) {
    const std::string name = formatted("features.{}", plan.index);
    Layer layer{take_weight(weights, name + ".weight", {plan.out, plan.in, plan.kernel, plan.kernel}),
                take_weight(weights, name + ".bias", {plan.out}),
                plan.stride,
                plan.padding,
                plan.pooling,
                {}};
    if (plan.counts)
      layer.head = take_weight(weights, formatted("lin{}.weight", head++), {1, plan.out, 1, 1});
    layers_.push_back(std::move(layer));
  }
}

std::vector<at::Tensor> Lpips::features(const at::Tensor& image) const {
  std::vector<at::Tensor> normalised;
  at::Tensor h = scaled(image);
  for (const Layer& layer : layers_) {
    if (layer.pooling > 0) h = at::max_pool2d(h, layer.pooling, 2);
    h = at::relu(at::conv2d(h, layer.weight, layer.bias, layer.stride, layer.padding));  // [1, C_l, h, w]
    if (layer.head.defined()) normalised.push_back(h / (h.square().sum(1, true).sqrt() + 1e-10));
  }
  return normalised;
}

double Lpips::operator()(const at::Tensor& x, const at::Tensor& truth) const {
  if (x.dim() != 3 || x.sizes() != truth.sizes() || (x.size(0) != 1 && x.size(0) != 3)) {
    throw InternalError("LPIPS of shapes {} and {}: two [C, H, W] of 1 or 3 channels are needed", x.sizes(),
                        truth.sizes());
  }
  const bool finite = at::isfinite(x).all().item<bool>() && at::isfinite(truth).all().item<bool>();
  if (!finite || x.size(1) < smallest_ || x.size(2) < smallest_)
    return std::numeric_limits<double>::quiet_NaN();
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> one = features(x), other = features(truth);
  double distance = 0.0;
  std::size_t l = 0;
  for (const Layer& layer : layers_) {
    if (!layer.head.defined()) continue;
    const at::Tensor difference = (one[l] - other[l]).square();  // [1, C_l, h, w]
    distance += (difference * layer.head).sum(1).mean().item<double>();
    ++l;
  }
  return distance;
}

}  // namespace dwgf
