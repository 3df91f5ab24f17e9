/// The value of a function together with its vector-Jacobian product.
#pragma once

#include <functional>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// One forward pass serves both. Neither the value nor what `pull` returns has an autograd graph.
struct Vjp {
  at::Tensor value;  ///< f(x)
  /// cotangent (of the value's shape) -> f'(x)^T cotangent (of the shape of x). May be called once.
  std::function<at::Tensor(const at::Tensor& cotangent)> pull;
};

/// The identity's.
inline Vjp identity_vjp(const at::Tensor& x) {
  return {x.detach(), [](const at::Tensor& cotangent) { return cotangent; }};
}

}  // namespace dwgf
