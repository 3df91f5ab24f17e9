#include <dwgf/flow/observer.hpp>

namespace dwgf {

void FlowObserver::begin(FlowState&, Monitor&) {}

bool FlowObserver::at_step_boundary(const FlowState&, const Monitor&) {
  return true;
}

}  // namespace dwgf
