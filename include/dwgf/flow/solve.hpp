/// The particles of one image from noise to the posterior, by one of the methods (catalogue/methods.hpp).
#pragma once

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/comm/collective.hpp>
#include <dwgf/comm/grid.hpp>
#include <dwgf/flow/method.hpp>
#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/observer.hpp>
#include <dwgf/flow/state.hpp>
#include <dwgf/flow/times.hpp>

namespace dwgf {

struct Solution {
  FlowState state;  ///< this rank's particles after the last step
  Diagnostics diagnostics;
  bool complete = true;                         ///< false where the observer ended it before its last step
  std::vector<UnknownEstimate> estimates = {};  ///< of the problem's unknowns, in their order
  ProblemParts parts = {};                      ///< with these values, where there are any
};

/// The images of a solution's batch, [M, C, H', W']: those that the method moves, or D(z), by the prior's
/// full codec where it has one beside `codec`.
at::Tensor restored_images(const Prior& prior, const ParticleBatch& batch);

/// The ranks that share an image. Numbers of the host go by `host`, tensors by `tensors`, which works on the
/// memory of the prior's device. On a CPU both are the same.
struct RankGroup {
  Collective& host;
  Collective& tensors;
};

/// Solves by options.method, its last options.polish steps with the prior's full codec. Every rank of `group`
/// calls this for the same problem and gets its own particles' end. Order of collectives in a step: the
/// method's, then the monitor's, then the observer's. Throws UsageError where the method does not work with
/// the operator or with these options, or where there is no full codec to polish with, and Diverged on all
/// ranks of the group alike.
Solution solve(const Problem& problem, const FlowOptions& options, const RankGroup& group,
               FlowObserver& observer);
/// On host memory.
Solution solve(const Problem& problem, const FlowOptions& options, Collective& group, FlowObserver& observer);
Solution solve(const Problem& problem, const FlowOptions& options, Collective& group);
/// By a method of one's own, whatever options.method is.
Solution solve(const Problem& problem, const FlowOptions& options, const MethodRow& method,
               const RankGroup& group, FlowObserver& observer);

}  // namespace dwgf
