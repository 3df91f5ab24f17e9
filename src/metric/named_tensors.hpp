/// The weights of a metric's network by their names, as tools/convert_metric_weights.py writes them.
#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace dwgf {

using NamedTensors = std::map<std::string, at::Tensor>;

/// The tensor of that name, as float32 on the CPU. Throws DataError where it is not there, of another shape,
/// or not finite.
at::Tensor take_weight(const NamedTensors& weights, const std::string& name, at::IntArrayRef shape);

}  // namespace dwgf
