/// A vector-Jacobian product by LibTorch's autograd.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/vjp.hpp>

namespace dwgf {

/// Runs f at x with gradients to x alone: the parameters of f must not require any. `pull` frees the graph;
/// it throws InternalError when it is called a second time.
Vjp autograd_vjp(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x);

}  // namespace dwgf
