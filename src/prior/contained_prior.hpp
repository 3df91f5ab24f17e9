/// A prior that outlives a lack of memory: the call that finds none gives NaN, as do all later ones, so that
/// this rank goes on to meet the others of its group where they wait for it. The flow then diverges on all of
/// them at the same step, and they can agree on why.
#pragma once

#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

class ContainedPrior final : public Prior {
 public:
  /// @pre `prior` outlives this. `micro_batch` is for the advice.
  ContainedPrior(const Prior& prior, std::int64_t micro_batch) : prior_(prior), micro_batch_(micro_batch) {}

  /// What to tell of the call that found no memory; nothing while all did.
  const std::optional<std::string>& shortage() const { return shortage_; }

  const PriorGeometry& geometry() const override { return prior_.geometry(); }
  const NoiseSchedule& schedule() const override { return prior_.schedule(); }
  const std::string& sha256() const override { return prior_.sha256(); }
  at::TensorOptions options() const override { return prior_.options(); }
  std::vector<std::string> warnings() const override { return prior_.warnings(); }
  std::int64_t calls_redone() const override { return prior_.calls_redone(); }
  std::optional<std::uint64_t> step_bytes(std::int64_t batch, std::int64_t latent_height,
                                          std::int64_t latent_width) const override {
    return prior_.step_bytes(batch, latent_height, latent_width);
  }

  at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const override;
  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const override;
  at::Tensor decode(const at::Tensor& z) const override;
  DecodedImage decode_with_pull_back(const at::Tensor& z) const override;
  LatentDistribution encode(const at::Tensor& x) const override;
  EncodedImage encode_with_pull_back(const at::Tensor& x) const override;

 private:
  /// The result of `call`, or of `otherwise` where memory is or was short. Throws what else `call` throws.
  template <class Call, class Otherwise>
  auto contained(const Call& call, const Otherwise& otherwise) const;
  at::Tensor no_image(const at::Tensor& z) const;
  at::Tensor no_latent(const at::Tensor& x) const;

  const Prior& prior_;
  std::int64_t micro_batch_;
  mutable std::optional<std::string> shortage_;
};

}  // namespace dwgf
