/// What a method is: one step of an image's particles. The loop around it (solve.hpp) has the monitor, the
/// observer, checkpoints and stopping. Adding one: a source in flow/methods, an entry (catalogue/methods.hpp)
/// and a row (flow/known_methods.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/problem.hpp>
#include <dwgf/flow/state.hpp>

namespace dwgf {

/// Takes what a step has to say of every micro-batch, where the step is recorded.
class StepRecords {
 public:
  StepRecords(Monitor& monitor, const FlowState& state, const Prior& prior);

  /// From here on, network calls that are made again in float32 count for batch number `b`.
  void enter(std::size_t b);
  /// Of the batch entered last, once its calls are made. Batches in order.
  void add(const BatchValues& values);

 private:
  void count();

  Monitor& monitor_;
  const Prior& prior_;
  bool wanted_;
  std::vector<std::int64_t> redone_;  // by batch
  std::size_t entered_ = 0;
  std::int64_t counted_;
};

class FlowMethod {
 public:
  virtual ~FlowMethod() = default;
  /// Step state.step: moves every batch of this rank. The same collectives in the same order on every rank of
  /// the group. Throws Diverged on all of them alike.
  virtual void step(FlowState& state, StepRecords& records) = 0;
};

/// What a method is made of. Problem, options and group outlive it.
struct MethodSetup {
  const Problem& problem;
  const FlowOptions& options;
  Collective& group;  ///< of tensors on the prior's device
  FlowState& start;   ///< z ~ N(0, I); a method that moves images adds them
};

struct MethodRow {
  std::string_view name;
  /// Throws UsageError where the method cannot work with these options.
  std::unique_ptr<FlowMethod> (*make)(const MethodSetup& setup);
};

}  // namespace dwgf
