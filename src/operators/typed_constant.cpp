#include "operators/typed_constant.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "base/precondition.hpp"

namespace dwgf {

TypedConstant::TypedConstant(const at::Tensor& value) {
  precondition(value.device().is_cpu(), "a constant that is on the host");
  // A tensor made in inference mode could not be used where gradients are recorded later.
  const c10::InferenceMode no_inference(false);
  copies_.push_back(value.detach().to(at::kDouble, /*non_blocking=*/false, /*copy=*/true).contiguous());
}

at::Tensor TypedConstant::like(const at::Tensor& other) const {
  const std::lock_guard lock(mutex_);
  for (const at::Tensor& copy : copies_) {
    if (copy.scalar_type() == other.scalar_type() && copy.device() == other.device()) return copy;
  }
  const c10::InferenceMode no_inference(false);
  copies_.push_back(copies_.front().to(other.device(), other.scalar_type()));
  return copies_.back();
}

}  // namespace dwgf
