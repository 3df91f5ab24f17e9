#include "prior/fp32_retry.hpp"

#include <utility>

#include <ATen/ATen.h>

namespace dwgf {
namespace {

bool all_finite(const at::Tensor& values, at::ScalarType type) {
  if (!values.is_cpu() && type == at::kBFloat16) return true;  // or not asked
  return at::isfinite(values).all().item<bool>();
}
bool all_finite(const LatentDistribution& code, at::ScalarType type) {
  return all_finite(code.mean + code.std, type);
}

/// A network and its wider counterpart.
template <class Network>
class Retry {
 public:
  Retry(std::shared_ptr<const Network> half, std::function<std::shared_ptr<const Network>()> make_wide,
        std::shared_ptr<Fp32Retries> retries, at::ScalarType type)
      : half_(std::move(half)), make_wide_(std::move(make_wide)), retries_(std::move(retries)), type_(type) {}

  /// call(network) of the half precision, or of the other where that is not finite.
  template <class Call>
  auto value(const Call& call) const {
    auto result = call(*half_);
    return finite(result) ? result : call(wide());
  }
  template <class Call>
  Vjp vjp(Call call) const {
    Vjp result = call(*half_);
    if (!finite(result.value)) return call(wide());
    return {result.value, [this, call = std::move(call), pull = std::move(result.pull)](const at::Tensor& c) {
              const at::Tensor gradient = pull(c);
              return finite(gradient) ? gradient : call(wide()).pull(c);
            }};
  }

 private:
  template <class Result>
  bool finite(const Result& result) const {
    return all_finite(result, type_);
  }
  const Network& wide() const {
    retries_->add();
    if (!wide_) wide_ = make_wide_();
    return *wide_;
  }

  std::shared_ptr<const Network> half_;
  std::function<std::shared_ptr<const Network>()> make_wide_;
  mutable std::shared_ptr<const Network> wide_;
  std::shared_ptr<Fp32Retries> retries_;
  at::ScalarType type_;
};

class RetryingDenoiser final : public Denoiser, private Retry<Denoiser> {
 public:
  using Retry::Retry;
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return value([&](const Denoiser& network) { return network.noise(z_t, level, given); });
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return vjp([z_t = z_t.clone(), level, given](const Denoiser& network) {
      return network.noise_vjp(z_t, level, given);
    });
  }
  at::Tensor clean(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return value([&](const Denoiser& network) { return network.clean(z_t, level, given); });
  }
};

class RetryingCodec final : public Codec, private Retry<Codec> {
 public:
  using Retry::Retry;
  at::Tensor decode(const at::Tensor& z) const override {
    return value([&](const Codec& network) { return network.decode(z); });
  }
  Vjp decode_vjp(const at::Tensor& z) const override {
    return vjp([z = z.clone()](const Codec& network) { return network.decode_vjp(z); });
  }
  LatentDistribution encode(const at::Tensor& x) const override {
    return value([&](const Codec& network) { return network.encode(x); });
  }
  Vjp encode_vjp(const at::Tensor& x) const override {
    return vjp([x = x.clone()](const Codec& network) { return network.encode_vjp(x); });
  }
};

}  // namespace

std::shared_ptr<const Denoiser> with_fp32_retry(std::shared_ptr<const Denoiser> half,
                                                std::function<std::shared_ptr<const Denoiser>()> make_wide,
                                                std::shared_ptr<Fp32Retries> retries, at::ScalarType type) {
  return std::make_shared<RetryingDenoiser>(std::move(half), std::move(make_wide), std::move(retries), type);
}

std::shared_ptr<const Codec> with_fp32_retry(std::shared_ptr<const Codec> half,
                                             std::function<std::shared_ptr<const Codec>()> make_wide,
                                             std::shared_ptr<Fp32Retries> retries, at::ScalarType type) {
  return std::make_shared<RetryingCodec>(std::move(half), std::move(make_wide), std::move(retries), type);
}

}  // namespace dwgf
