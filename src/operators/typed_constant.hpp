/// A constant of an operator (mask, weights), made in double once and kept in every dtype and on every device
/// that it was asked for.
#pragma once

#include <mutex>
#include <vector>

#include <ATen/core/Tensor.h>

namespace dwgf {

class TypedConstant {
 public:
  /// @pre `value` is on the host
  explicit TypedConstant(const at::Tensor& value);

  /// The constant in the dtype and on the device of `other`; converted on first use only. Thread-safe.
  at::Tensor like(const at::Tensor& other) const;

 private:
  mutable std::mutex mutex_;
  mutable std::vector<at::Tensor> copies_;
};

}  // namespace dwgf
