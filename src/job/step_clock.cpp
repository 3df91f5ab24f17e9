#include "job/step_clock.hpp"

#include <ctime>

namespace dwgf {

namespace {

double process_time() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

/// The value at once, timed as `part`; what is pulled back later as `vjp`.
template <class Call>
Vjp timed_vjp(StepClock& clock, StepPart part, const Call& call) {
  Vjp result = clock.timed(part, call);
  return {result.value, [&clock, pull = std::move(result.pull)](const at::Tensor& cotangent) {
            return clock.timed(StepPart::vjp, [&] { return pull(cotangent); });
          }};
}

class TimedDenoiser final : public Denoiser {
 public:
  TimedDenoiser(std::shared_ptr<const Denoiser> inner, StepClock& clock)
      : inner_(std::move(inner)), clock_(clock) {}
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return clock_.timed(StepPart::denoiser, [&] { return inner_->noise(z_t, level, given); });
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return timed_vjp(clock_, StepPart::denoiser, [&] { return inner_->noise_vjp(z_t, level, given); });
  }
  at::Tensor clean(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return clock_.timed(StepPart::denoiser, [&] { return inner_->clean(z_t, level, given); });
  }

 private:
  std::shared_ptr<const Denoiser> inner_;
  StepClock& clock_;
};

class TimedCodec final : public Codec {
 public:
  TimedCodec(std::shared_ptr<const Codec> inner, StepClock& clock)
      : inner_(std::move(inner)), clock_(clock) {}
  at::Tensor decode(const at::Tensor& z) const override {
    return clock_.timed(StepPart::decoder, [&] { return inner_->decode(z); });
  }
  Vjp decode_vjp(const at::Tensor& z) const override {
    return timed_vjp(clock_, StepPart::decoder, [&] { return inner_->decode_vjp(z); });
  }
  LatentDistribution encode(const at::Tensor& x) const override {
    return clock_.timed(StepPart::encoder, [&] { return inner_->encode(x); });
  }
  Vjp encode_vjp(const at::Tensor& x) const override {
    return timed_vjp(clock_, StepPart::encoder, [&] { return inner_->encode_vjp(x); });
  }

 private:
  std::shared_ptr<const Codec> inner_;
  StepClock& clock_;
};

class TimedOperator final : public ForwardOperator {
 public:
  TimedOperator(std::shared_ptr<const ForwardOperator> inner, StepClock& clock)
      : inner_(std::move(inner)), clock_(clock) {}
  at::Tensor apply(const at::Tensor& x) const override {
    return clock_.timed(StepPart::forward, [&] { return inner_->apply(x); });
  }
  at::Tensor pull_back(const at::Tensor& x, const at::Tensor& r) const override {
    return clock_.timed(StepPart::forward, [&] { return inner_->pull_back(x, r); });
  }
  at::Tensor push_forward(const at::Tensor& x, const at::Tensor& v) const override {
    return clock_.timed(StepPart::forward, [&] { return inner_->push_forward(x, v); });
  }
  bool is_linear() const override { return inner_->is_linear(); }
  std::vector<std::int64_t> measurement_shape() const override { return inner_->measurement_shape(); }
  at::Tensor observed() const override { return inner_->observed(); }
  bool keeps_unobserved() const override { return inner_->keeps_unobserved(); }
  bool measures_image() const override { return inner_->measures_image(); }
  at::Tensor trivial_inverse(const at::Tensor& y, double sigma) const override {
    return inner_->trivial_inverse(y, sigma);
  }
  std::string trivial_inverse_name() const override { return inner_->trivial_inverse_name(); }

 private:
  std::shared_ptr<const ForwardOperator> inner_;
  StepClock& clock_;
};

}  // namespace

double StepClock::processor_seconds() const {
  return process_time() - processors_before_;
}

void StepClock::restart() {
  seconds_ = {};
  processors_before_ = process_time();
}

Prior timed_prior(const Prior& prior, StepClock& clock) {
  Prior timed = prior;
  timed.denoiser = std::make_shared<TimedDenoiser>(prior.denoiser, clock);
  timed.codec = std::make_shared<TimedCodec>(prior.codec, clock);
  return timed;
}

std::shared_ptr<const ForwardOperator> timed_operator(std::shared_ptr<const ForwardOperator> inner,
                                                      StepClock& clock) {
  return std::make_shared<TimedOperator>(std::move(inner), clock);
}

}  // namespace dwgf
