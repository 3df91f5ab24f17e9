/// What is watched while an image is solved: diagnostics a step, agreed by the ranks of the group, kept out
/// of the loop.
///
/// Scalars are one double a particle, all-gathered and added in particle order; the ensemble's moments are
/// sums in fixed point: both are the same bits on every layout. The exchange of a step is completed at the
/// end of the next one: nobody waits for it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/diagnostics.hpp>
#include <dwgf/flow/fixed_point.hpp>
#include <dwgf/flow/state.hpp>

namespace dwgf {

/// What a method knows of one micro-batch in a step, by the names of diagnostic_rows(): float64 [M] where the
/// row is a mean, [M, ...] where it is a root mean square.
using BatchValues = std::map<std::string_view, at::Tensor>;

/// The steps (from 0) that are recorded: every record_every-th, and the last.
std::vector<std::int64_t> recorded_steps(std::int64_t steps, std::int64_t record_every);

class Monitor {
 public:
  static constexpr std::size_t kStallWindow = 10;  ///< records that `stalled` averages over
  static std::size_t quantities();                 ///< scalars a particle and record

  /// What it knows between two steps.
  struct State {
    Diagnostics diagnostics;  ///< the completed records, the same on every rank
    std::int64_t under_way_step =
        -1;  ///< the step just done, if it is recorded: its exchange is under way; -1: none
    std::vector<double> under_way;  ///< this rank's values of it, [samples][kQuantities]
  };

  Monitor(const FlowOptions& options, std::int64_t steps, Collective& group);

  /// True when this step is recorded: `observe` is then called for every batch, in order.
  bool wants(std::int64_t step) const;
  /// A row that is not among `values` gets what it says for that; `redone` is that of the same name.
  /// Throws InternalError where a value has no row.
  void observe(const BatchValues& values, std::int64_t redone);
  /// After all batches of a step: starts the exchange of what was observed, and completes the one before.
  /// Throws Diverged on every rank of the group alike.
  void finish_step(const FlowState& state);
  /// After the last step: completes what is under way.
  Diagnostics finish();

  /// True on every rank alike once the misfit has stopped falling: its mean over the last 10 completed
  /// records is not below (1 - stall) times that over the 10 before. Never where options.stall is 0.
  bool stalled() const;

  State state() const;
  /// Goes on from where another monitor of the same flow stood, when `flow` had its present positions.
  /// Collective: the exchange that was under way is started again, on this layout of ranks.
  void go_on_from(State state, const FlowState& flow);

 private:
  void start_exchange(const FlowState& state);
  void complete();

  const double stall_;
  const std::int64_t record_every_;
  const std::int64_t steps_;
  Collective& group_;
  std::int64_t particles_;
  std::vector<double> own_, gathered_;  // [slots][kQuantities]
  std::vector<double> under_way_;
  std::int64_t under_way_step_ = -1;
  std::unique_ptr<PendingCollective> pending_;
  std::unique_ptr<EnsembleMoments> moments_;  // of the record under way
  Diagnostics diagnostics_;
};

}  // namespace dwgf
