/// Where the time of an image's steps goes: clocks around the calls of the prior's two halves and of the
/// operator. The parts compute what they computed. No device is waited for: of one, a part's time is that of
/// its host, which queues work and goes on.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include <dwgf/operators/operator.hpp>
#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// Parts of a step. `vjp`: what is pulled back through the networks.
enum class StepPart { denoiser, encoder, decoder, vjp, forward };
inline constexpr std::array<const char*, 5> kStepPartNames = {"denoiser", "encoder", "decoder", "vjp",
                                                              "operator"};
/// Seconds, by part.
using StepSeconds = std::array<double, kStepPartNames.size()>;

class StepClock {
 public:
  /// @param before_call  called before every call of a network; what it throws ends the step there
  explicit StepClock(std::function<void()> before_call = {}) : before_call_(std::move(before_call)) {}

  /// Since the last `restart`.
  const StepSeconds& seconds() const { return seconds_; }
  /// The processors' time of this process's threads together, since then [s].
  double processor_seconds() const;
  void restart();

  template <class Call>
  auto timed(StepPart part, const Call& call) {
    if (part != StepPart::forward && before_call_) before_call_();
    const auto start = std::chrono::steady_clock::now();
    auto result = call();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    seconds_[static_cast<std::size_t>(part)] += taken.count();
    return result;
  }

 private:
  std::function<void()> before_call_;
  StepSeconds seconds_{};
  double processors_before_ = 0.0;
};

/// The prior with a clock around both halves. The clock outlives it.
Prior timed_prior(const Prior& prior, StepClock& clock);

/// The operator with a clock around it. The clock outlives it.
std::shared_ptr<const ForwardOperator> timed_operator(std::shared_ptr<const ForwardOperator> inner,
                                                      StepClock& clock);

}  // namespace dwgf
