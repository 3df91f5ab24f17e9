/// What a method computes once and uses for many images.
#pragma once

#include <any>
#include <memory>
#include <utility>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// Of one prior and one set of options. Owned by whoever solves one image after the other; what is in it is
/// the method's own, and an empty one gives the same bits.
class MethodMemory {
 public:
  /// From here on images have this operator: what was kept of another is dropped.
  void turn_to(std::shared_ptr<const ForwardOperator> forward) {
    if (forward == forward_) return;
    forward_ = std::move(forward);
    of_operator.reset();
  }

  std::any of_prior;     ///< holds for any operator
  std::any of_operator;  ///< holds for this one

 private:
  std::shared_ptr<const ForwardOperator> forward_;  // kept, so that no other has its address
};

}  // namespace dwgf
