/// A vector-Jacobian product by LibTorch's autograd. Some of its kernels for GPUs add in an order left to
/// chance, so that the last bits may differ from run to run there; on CPUs they do not.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/vjp.hpp>

namespace dwgf {

/// Runs f at x with gradients to x alone: the parameters of f must not require any. `pull` frees the graph;
/// it throws InternalError when it is called a second time.
Vjp autograd_vjp(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x);

}  // namespace dwgf
