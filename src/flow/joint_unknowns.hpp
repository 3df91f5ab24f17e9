/// The unknowns of one problem while it is solved (dwgf/flow/unknown.hpp): the operator and the noise that
/// the method sees are those of the present values, the noise's likelihood tempered where an unknown asks for
/// it.
#pragma once

#include <cstdint>
#include <memory>

#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/problem.hpp>
#include <dwgf/flow/state.hpp>

namespace dwgf {

class JointUnknowns {
 public:
  static constexpr std::size_t kMostRecent = 10;  ///< last steps, at most, that an estimate is averaged over

  /// @pre the problem outlives it, and so do its unknowns
  explicit JointUnknowns(const Problem& problem);
  ~JointUnknowns();
  JointUnknowns(const JointUnknowns&) = delete;
  JointUnknowns& operator=(const JointUnknowns&) = delete;

  bool none() const { return unknowns_.empty(); }
  /// The operator, and the noise (null where the problem has none), of the present values. The references
  /// stay valid. Where there are no unknowns, the problem's own.
  const ForwardOperator& forward() const;
  const NoiseModel* noise() const;
  /// What methods keep: the problem's memory, or one for this problem alone. It forgets an operator that is
  /// replaced.
  MethodMemory* memory() { return problem_.memory ? problem_.memory : &own_memory_; }

  /// Puts the first values into a state that has none, and takes up those that it has.
  /// @param steps  of the whole flow
  void begin(FlowState& state, std::int64_t steps);
  /// After a step of the method, before it is counted: the next values, from the particles' images by
  /// `problem.prior`. Collective over `host`. Throws Diverged on all ranks alike.
  void update(FlowState& state, const Problem& problem, std::int64_t steps, Collective& host);
  /// What they came to: the mean over the last quarter of the steps, kMostRecent at most.
  std::vector<UnknownEstimate> estimates(const FlowState& state) const;
  /// The parts of these.
  ProblemParts parts_of(const std::vector<UnknownEstimate>& estimates) const;

 private:
  class CurrentOperator;
  class CurrentNoise;

  /// @param progress  share of the steps that are done
  void take_up(const FlowState& state, double progress);

  const Problem& problem_;
  const Unknowns unknowns_;
  ProblemParts given_, parts_;
  double tempering_ = 1.0;  // of the likelihood that the method sees
  std::unique_ptr<CurrentOperator> operator_;
  std::unique_ptr<CurrentNoise> noise_;
  MethodMemory own_memory_;
};

}  // namespace dwgf
