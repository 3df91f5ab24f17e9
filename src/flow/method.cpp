#include <utility>

#include <dwgf/flow/method.hpp>

namespace dwgf {

StepRecords::StepRecords(Monitor& monitor, const FlowState& state, const Prior& prior)
    : monitor_(monitor),
      prior_(prior),
      wanted_(monitor.wants(state.step)),
      redone_(state.batches.size()),
      counted_(prior.retries->total()) {}

void StepRecords::enter(std::size_t b) {
  count();
  entered_ = b;
}

void StepRecords::add(const BatchValues& values) {
  count();
  if (wanted_) monitor_.observe(values, redone_[entered_]);
}

void StepRecords::count() {
  const std::int64_t before = std::exchange(counted_, prior_.retries->total());
  if (entered_ < redone_.size()) redone_[entered_] += counted_ - before;
}

}  // namespace dwgf
