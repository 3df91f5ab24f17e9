#include "prior/contained_prior.hpp"

#include <limits>
#include <memory>
#include <utility>

#include <ATen/ATen.h>

#include "prior/out_of_memory.hpp"

namespace dwgf {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

template <class Call, class Otherwise>
auto ContainedPrior::contained(const Call& call, const Otherwise& otherwise) const {
  if (shortage_) return otherwise();
  try {
    return call();
  } catch (const std::exception& error) {
    shortage_ = shortage_of_memory(error, micro_batch_);
    if (!shortage_) throw;
  }
  return otherwise();
}

at::Tensor ContainedPrior::no_image(const at::Tensor& z) const {
  const PriorGeometry& sizes = geometry();
  const std::int64_t height = sizes.only ? sizes.only->height : z.size(2) * sizes.factor;
  const std::int64_t width = sizes.only ? sizes.only->width : z.size(3) * sizes.factor;
  return at::full({z.size(0), sizes.image_channels, height, width}, kNan, z.options());  // [B, C, H', W']
}

at::Tensor ContainedPrior::predict_noise(const at::Tensor& z_t, std::int64_t time) const {
  return contained([&] { return prior_.predict_noise(z_t, time); }, [&] { return at::full_like(z_t, kNan); });
}

PredictedNoise ContainedPrior::predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const {
  const at::Tensor none = at::full_like(z_t, kNan);
  const auto nothing = [none](const at::Tensor&) { return none; };
  PredictedNoise predicted = contained([&] { return prior_.predict_noise_with_pull_back(z_t, time); },
                                       [&] {
                                         return PredictedNoise{none, nothing};
                                       });
  return {predicted.noise,
          [this, nothing, pull_back = std::move(predicted.pull_back)](const at::Tensor& cotangent) {
            return contained([&] { return pull_back(cotangent); }, [&] { return nothing(cotangent); });
          }};
}

at::Tensor ContainedPrior::decode(const at::Tensor& z) const {
  return contained([&] { return prior_.decode(z); }, [&] { return no_image(z); });
}

DecodedImage ContainedPrior::decode_with_pull_back(const at::Tensor& z) const {
  const at::Tensor none = at::full_like(z, kNan);
  const auto nothing = [none](const at::Tensor&) { return none; };
  DecodedImage decoded = contained([&] { return prior_.decode_with_pull_back(z); },
                                   [&] {
                                     return DecodedImage{no_image(z), nothing};
                                   });
  return {decoded.x, [this, nothing, pull_back = std::move(decoded.pull_back)](const at::Tensor& cotangent) {
            return contained([&] { return pull_back(cotangent); }, [&] { return nothing(cotangent); });
          }};
}

at::Tensor ContainedPrior::no_latent(const at::Tensor& x) const {
  const PriorGeometry& sizes = geometry();
  const std::int64_t height = sizes.only ? sizes.only->latent_height : x.size(2) / sizes.factor;
  const std::int64_t width = sizes.only ? sizes.only->latent_width : x.size(3) / sizes.factor;
  return at::full({x.size(0), sizes.latent_channels, height, width}, kNan, x.options());  // [B, c, h, w]
}

LatentDistribution ContainedPrior::encode(const at::Tensor& x) const {
  return contained([&] { return prior_.encode(x); },
                   [&] {
                     const at::Tensor none = no_latent(x);
                     return LatentDistribution{none, none};
                   });
}

EncodedImage ContainedPrior::encode_with_pull_back(const at::Tensor& x) const {
  const at::Tensor none = at::full_like(x, kNan);
  const auto nothing = [none](const at::Tensor&) { return none; };
  EncodedImage encoded = contained([&] { return prior_.encode_with_pull_back(x); },
                                   [&] {
                                     return EncodedImage{no_latent(x), nothing};
                                   });
  return {encoded.mean,
          [this, nothing, pull_back = std::move(encoded.pull_back)](const at::Tensor& cotangent) {
            return contained([&] { return pull_back(cotangent); }, [&] { return nothing(cotangent); });
          }};
}

}  // namespace dwgf
