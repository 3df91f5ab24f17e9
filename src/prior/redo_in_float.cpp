#include "prior/redo_in_float.hpp"

#include <utility>

#include <ATen/ATen.h>

namespace dwgf {
namespace {

bool finite(const at::Tensor& values) {
  return at::isfinite(values).all().item<bool>();
}

class OnDemand {
 public:
  explicit OnDemand(std::function<std::unique_ptr<Prior>()> make) : make_(std::move(make)) {}
  bool possible() const { return static_cast<bool>(make_); }
  const Prior& operator*() {
    if (!prior_) prior_ = make_();
    return *prior_;
  }
  const Prior* operator->() { return &**this; }

 private:
  std::function<std::unique_ptr<Prior>()> make_;
  std::unique_ptr<Prior> prior_;
};

class RedoneInFloat final : public Prior {
 public:
  RedoneInFloat(std::unique_ptr<Prior> prior, FloatNetworks networks)
      : prior_(std::move(prior)),
        denoiser_(std::move(networks.denoiser)),
        codec_(std::move(networks.codec)) {}

  const PriorGeometry& geometry() const override { return prior_->geometry(); }
  const NoiseSchedule& schedule() const override { return prior_->schedule(); }
  const std::string& sha256() const override { return prior_->sha256(); }
  at::TensorOptions options() const override { return prior_->options(); }
  std::vector<std::string> warnings() const override { return prior_->warnings(); }
  std::int64_t calls_redone() const override { return redone_; }
  std::optional<std::uint64_t> step_bytes(std::int64_t batch, std::int64_t latent_height,
                                          std::int64_t latent_width) const override {
    return prior_->step_bytes(batch, latent_height, latent_width);
  }

  at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const override {
    at::Tensor noise = prior_->predict_noise(z_t, time);
    if (stands(denoiser_, noise)) return noise;
    return denoiser_->predict_noise(z_t, time);
  }

  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const override {
    PredictedNoise predicted = prior_->predict_noise_with_pull_back(z_t, time);
    if (!stands(denoiser_, predicted.noise)) return denoiser_->predict_noise_with_pull_back(z_t, time);
    return {predicted.noise, [this, z_t = z_t.clone(), time,
                              pull_back = std::move(predicted.pull_back)](const at::Tensor& cotangent) {
              const at::Tensor gradient = pull_back(cotangent);
              if (stands(denoiser_, gradient)) return gradient;
              return denoiser_->predict_noise_with_pull_back(z_t, time).pull_back(cotangent);
            }};
  }

  at::Tensor decode(const at::Tensor& z) const override {
    at::Tensor x = prior_->decode(z);
    if (stands(codec_, x)) return x;
    return codec_->decode(z);
  }

  DecodedImage decode_with_pull_back(const at::Tensor& z) const override {
    DecodedImage decoded = prior_->decode_with_pull_back(z);
    if (!stands(codec_, decoded.x)) return codec_->decode_with_pull_back(z);
    return {decoded.x,
            [this, z = z.clone(), pull_back = std::move(decoded.pull_back)](const at::Tensor& cotangent) {
              const at::Tensor gradient = pull_back(cotangent);
              if (stands(codec_, gradient)) return gradient;
              return codec_->decode_with_pull_back(z).pull_back(cotangent);
            }};
  }

  LatentDistribution encode(const at::Tensor& x) const override {
    LatentDistribution code = prior_->encode(x);
    if (stands(codec_, code.mean + code.std)) return code;
    return codec_->encode(x);
  }

  EncodedImage encode_with_pull_back(const at::Tensor& x) const override {
    EncodedImage encoded = prior_->encode_with_pull_back(x);
    if (!stands(codec_, encoded.mean)) return codec_->encode_with_pull_back(x);
    return {encoded.mean,
            [this, x = x.clone(), pull_back = std::move(encoded.pull_back)](const at::Tensor& cotangent) {
              const at::Tensor gradient = pull_back(cotangent);
              if (stands(codec_, gradient)) return gradient;
              return codec_->encode_with_pull_back(x).pull_back(cotangent);
            }};
  }

 private:
  /// Whether a result may be used as it is; counts one that may not.
  bool stands(const OnDemand& network, const at::Tensor& result) const {
    if (!network.possible() || finite(result)) return true;
    ++redone_;
    return false;
  }

  std::unique_ptr<Prior> prior_;
  mutable OnDemand denoiser_, codec_;
  mutable std::int64_t redone_ = 0;
};

}  // namespace

std::unique_ptr<Prior> redo_in_float(std::unique_ptr<Prior> prior, FloatNetworks networks) {
  return std::make_unique<RedoneInFloat>(std::move(prior), std::move(networks));
}

}  // namespace dwgf
