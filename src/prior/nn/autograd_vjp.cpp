#include "prior/nn/autograd_vjp.hpp"

#include <memory>
#include <utility>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

Vjp autograd_vjp(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x) {
  const c10::InferenceMode recording(false);
  const c10::AutoGradMode gradients(true);
  const at::Tensor leaf = x.detach().clone().requires_grad_();
  const at::Tensor value = f(leaf);
  auto graph = std::make_shared<at::Tensor>(value);
  return {value.detach(), [leaf, graph](const at::Tensor& cotangent) {
            const at::Tensor last = std::exchange(*graph, at::Tensor());
            if (!last.defined()) throw InternalError("prior: a vector-Jacobian product serves once");
            return torch::autograd::grad({last}, {leaf}, {cotangent}).front();
          }};
}

}  // namespace dwgf
