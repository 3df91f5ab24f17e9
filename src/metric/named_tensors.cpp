#include "metric/named_tensors.hpp"

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

at::Tensor take_weight(const NamedTensors& weights, const std::string& name, at::IntArrayRef shape) {
  const auto found = weights.find(name);
  const std::string advice = "; make the file with tools/convert_metric_weights.py";
  if (found == weights.end()) throw DataError("the metric's weights lack '{}'{}", name, advice);
  if (found->second.sizes() != shape) {
    throw DataError("the metric's weights '{}' have the shape {}, and {} is needed{}", name,
                    found->second.sizes(), shape, advice);
  }
  const at::Tensor weight = found->second.to(at::kCPU, at::kFloat).contiguous();
  if (!at::isfinite(weight).all().item<bool>()) {
    throw DataError("the metric's weights '{}' hold a value that is not finite{}", name, advice);
  }
  return weight;
}

}  // namespace dwgf
