/// One image's inverse problem as it is worked on.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/operators/operator.hpp>

#include "operators/open_blur.hpp"

namespace dwgf {

struct ImageProblem {
  ImageShape shape;
  at::Tensor truth;  ///< [C, H, W] float32; undefined where it is not known
  at::Tensor y;      ///< [...] float32
  std::shared_ptr<const ForwardOperator> forward;
  double sigma = 0;                          ///< given or estimated; what is unknown begins with it
  std::shared_ptr<const OpenBlur> open;      ///< what the operator leaves open; `forward` is its beginning
  std::map<std::string, at::Tensor> arrays;  ///< the operator's, by the names of `array_uses`
};

}  // namespace dwgf
