/// Diffusion-regularised Wasserstein gradient flow (arXiv 2509.19276): the particles of one image from noise
/// to the posterior.
#pragma once

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/comm/collective.hpp>
#include <dwgf/comm/grid.hpp>
#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/observer.hpp>
#include <dwgf/flow/state.hpp>
#include <dwgf/flow/terms/data_term.hpp>
#include <dwgf/flow/times.hpp>

namespace dwgf {

struct Solution {
  FlowState state;  ///< this rank's particles after the last step
  Diagnostics diagnostics;
  bool complete = true;  ///< false where the observer ended it before its last step
};

/// The images of a solution's batch, [M, C, H', W']: those that the method moves, or D(z).
at::Tensor restored_images(const Prior& prior, const ParticleBatch& batch);

/// The ranks that share an image. Numbers of the host go by `host`, tensors by `tensors`, which works on the
/// memory of the prior's device. On a CPU, and for a single rank, both are the same.
struct RankGroup {
  Collective& host;
  Collective& tensors;
};

/// By options.method: the gradient flow, or one of the methods that it is compared with (rlsd.hpp,
/// guided_sampling.hpp).
///
/// Every rank of `group` calls this for the same problem and gets its own particles' end. Order of
/// collectives in a step: interaction begin ... finish, then the monitor's, then the observer's. Throws
/// Diverged on all ranks of the group alike.
Solution solve(const Problem& problem, const FlowOptions& options, const RankGroup& group,
               FlowObserver& observer);
/// On host memory.
Solution solve(const Problem& problem, const FlowOptions& options, Collective& group, FlowObserver& observer);
Solution solve(const Problem& problem, const FlowOptions& options, Collective& group);

}  // namespace dwgf
