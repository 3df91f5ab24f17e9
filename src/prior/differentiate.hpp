/// A network's value together with the pull-back of cotangents through it, by LibTorch's autograd.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace dwgf {

struct Differentiated {
  at::Tensor value;  ///< f(x), detached
  std::function<at::Tensor(const at::Tensor& cotangent)>
      pull_back;  ///< f'(x)^T cotangent; serves once, then frees the graph
};

/// Runs f at x with gradients to x alone: the parameters of f must not require any. The pull-back throws
/// InternalError when it is called a second time.
Differentiated differentiate(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x);

}  // namespace dwgf
