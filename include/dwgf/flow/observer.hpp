/// Who watches a flow, may begin it somewhere in the middle, and may end it between two steps.
#pragma once

#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/state.hpp>

namespace dwgf {

class FlowObserver {
 public:
  virtual ~FlowObserver() = default;
  /// Before the first step, on every rank of the group: `state` and `monitor` may be put to where an earlier
  /// run stood, on all ranks alike.
  virtual void begin(FlowState& state, Monitor& monitor);
  /// After every step, on every rank of the group. False ends the flow here, on all ranks alike.
  virtual bool at_step_boundary(const FlowState& state, const Monitor& monitor);
};

}  // namespace dwgf
