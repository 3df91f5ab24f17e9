/// One row of values a particle, of all particles of an image, on every rank in particle order. What is
/// computed from them is the same bits on any number of ranks, as every rank computes it from the same
/// numbers in the same order.
#pragma once

#include <functional>
#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/state.hpp>

namespace dwgf {

class GatheredRows {
 public:
  /// @pre `group` outlives the rows.
  explicit GatheredRows(Collective& group) : group_(group) {}

  /// Starts the exchange of row_of(b) [M, width], the rows of batch b of the state.
  void begin(const FlowState& state, std::int64_t width,
             const std::function<at::Tensor(std::size_t)>& row_of);
  /// That of positions, d wide.
  void begin(const FlowState& state);
  void finish(const FlowState& state);

  /// [N, width], in the type of the state. @pre finish() was called
  const at::Tensor& all() const { return all_; }

 private:
  Collective& group_;
  at::Tensor own_, gathered_, all_;
  std::unique_ptr<PendingCollective> pending_;
};

}  // namespace dwgf
