#include <span>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "prior/differentiate.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/sha256.hpp"

namespace dwgf {
namespace {

[[noreturn]] void refuse(const char* part, const std::string& found, const std::string& wanted) {
  throw DataError(concat("prior: the mixture's ", part, " ", found, "; ", wanted));
}

void require(bool good, const char* part, const std::string& found, const std::string& wanted) {
  if (!good) refuse(part, found, wanted);
}

std::string shape_of(const at::Tensor& tensor) {
  return tensor.defined() ? concat("have the shape ", tensor.sizes()) : "are not there";
}

void require_finite(const at::Tensor& tensor, const char* part) {
  require(at::isfinite(tensor).all().item<bool>(), part, "hold a value that is not finite",
          "make them again");
}

/// What does not change from call to call.
struct Components {
  at::Tensor log_weights;  // [K]
  at::Tensor means;        // [K, d], in the components' own axes where those are not the latent's
  at::Tensor variances;    // [K, d], along the axes
  at::Tensor axes;         // [K, d, d], one axis a column; undefined: the latent's
};

Components components_of(const GaussianMixture& mixture) {
  const at::Tensor& means = mixture.means;
  require(means.defined() && means.dim() == 4 && means.numel() > 0, "means", shape_of(means),
          "[K, c, h, w] is needed");
  const std::int64_t count = means.size(0), d = means.numel() / count;
  const at::Tensor& weights = mixture.weights;
  require(weights.defined() && weights.dim() == 1 && weights.size(0) == count, "weights", shape_of(weights),
          concat("one for each of the ", count, " components is needed"));
  require_finite(weights, "weights");
  require_finite(means, "means");
  require(weights.gt(0).all().item<bool>(), "weights", "are not all positive",
          "leave components without weight out");

  Components components{(weights / weights.sum()).log(), means.reshape({count, d}), {}, {}};
  const at::Tensor& covariances = mixture.covariances;
  require(covariances.defined(), "covariances", shape_of(covariances), "[K, d, d] or [K, c, h, w] is needed");
  require_finite(covariances, "covariances");
  if (covariances.sizes() == means.sizes()) {
    components.variances = covariances.reshape({count, d});
  } else {
    require(covariances.sizes() == at::IntArrayRef({count, d, d}), "covariances", shape_of(covariances),
            concat("[", count, ", ", d, ", ", d, "] or that of the means is needed"));
    require(at::allclose(covariances, covariances.transpose(1, 2), 1e-8, 1e-12), "covariances",
            "are not symmetric", "a covariance is");
    std::tie(components.variances, components.axes) = at::linalg_eigh(covariances);
  }
  require(components.variances.gt(0).all().item<bool>(), "covariances", "are not positive definite",
          "every variance must be above 0");
  return components;
}

std::string sha256_of(const std::vector<at::Tensor>& tensors) {
  Sha256 hash;
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.defined()) continue;
    const at::Tensor dense = tensor.contiguous();
    const std::string shape = concat(dense.sizes());
    hash.update(std::as_bytes(std::span(shape)));
    hash.update({static_cast<const std::byte*>(dense.const_data_ptr()), dense.nbytes()});
  }
  return hash.finish();
}

class GaussianMixturePrior final : public Prior {
 public:
  GaussianMixturePrior(const GaussianMixture& mixture, const at::TensorOptions& options)
      : options_(options), schedule_(mixture.schedule), components_(components_of(mixture)) {
    const at::IntArrayRef latent = mixture.means.sizes().slice(1);
    geometry_ = {.image_channels = latent[0], .latent_channels = latent[0]};
    geometry_.only = Canvas{latent[1], latent[2], latent[1], latent[2]};
    latent_shape_ = image_shape_ = latent.vec();
    if (mixture.decoder.defined()) take_decoder(mixture);
    sha256_ =
        sha256_of({mixture.weights, mixture.means, mixture.covariances, mixture.decoder, mixture.offset});
    for (at::Tensor* tensor : {&components_.log_weights, &components_.means, &components_.variances,
                               &components_.axes, &decoder_, &encoder_, &offset_}) {
      if (tensor->defined()) *tensor = tensor->to(options_.device());
    }
  }

  const PriorGeometry& geometry() const override { return geometry_; }
  const NoiseSchedule& schedule() const override { return schedule_; }
  const std::string& sha256() const override { return sha256_; }
  at::TensorOptions options() const override { return options_; }

  at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const override {
    const at::NoGradGuard no_grad;
    return noise(z_t, time);
  }
  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const override {
    auto [value, pull_back] = differentiate([&](const at::Tensor& z) { return noise(z, time); }, z_t);
    return {value, pull_back};
  }

  at::Tensor decode(const at::Tensor& z) const override {
    return decoder_.defined() ? affine(z, decoder_, offset_, image_shape_) : z;
  }
  DecodedImage decode_with_pull_back(const at::Tensor& z) const override {
    if (!decoder_.defined()) return {z.detach(), [](const at::Tensor& cotangent) { return cotangent; }};
    return {decode(z), [this](const at::Tensor& cotangent) {
              return affine(cotangent, decoder_.t(), at::zeros({1}, decoder_.options()), latent_shape_);
            }};
  }
  LatentDistribution encode(const at::Tensor& x) const override {
    const at::Tensor z = decoder_.defined()
                             ? affine(x, encoder_, -at::mv(encoder_, offset_), latent_shape_)  // M^+ (x - b)
                             : x;
    return {z, at::zeros_like(z)};
  }
  EncodedImage encode_with_pull_back(const at::Tensor& x) const override {
    if (!decoder_.defined()) return {x.detach(), [](const at::Tensor& cotangent) { return cotangent; }};
    return {encode(x).mean, [this](const at::Tensor& cotangent) {
              return affine(cotangent, encoder_.t(), at::zeros({1}, encoder_.options()), image_shape_);
            }};
  }

 private:
  void take_decoder(const GaussianMixture& mixture) {
    const std::int64_t d = components_.means.size(1);
    require(mixture.offset.defined() && mixture.offset.dim() == 3, "offset", shape_of(mixture.offset),
            "the shape of an image, [C, H, W], is needed beside a decoder");
    require_finite(mixture.offset, "offset");
    require(mixture.decoder.sizes() == at::IntArrayRef({mixture.offset.numel(), d}), "decoder",
            shape_of(mixture.decoder),
            concat("[", mixture.offset.numel(), ", ", d, "] is needed: pixels by latents"));
    require_finite(mixture.decoder, "decoder");
    decoder_ = mixture.decoder;
    encoder_ = at::linalg_pinv(mixture.decoder);
    offset_ = mixture.offset.reshape({-1});
    image_shape_ = mixture.offset.sizes().vec();
    geometry_.image_channels = image_shape_[0];
    geometry_.only->height = image_shape_[1];
    geometry_.only->width = image_shape_[2];
  }

  /// matrix v + shift for every sample v [B, ...] -> [B, ...shape]
  at::Tensor affine(const at::Tensor& samples, const at::Tensor& matrix, const at::Tensor& shift,
                    const std::vector<std::int64_t>& shape) const {
    std::vector<std::int64_t> sizes{samples.size(0)};
    sizes.insert(sizes.end(), shape.begin(), shape.end());
    return (at::matmul(samples.flatten(1).to(at::kDouble), matrix.t()) + shift).reshape(sizes).to(options_);
  }

  at::Tensor noise(const at::Tensor& z_t, std::int64_t time) const {
    const double a = schedule_.signal(time), s = schedule_.noise(time);
    const at::Tensor gap = z_t.flatten(1).to(at::kDouble).unsqueeze(1) - a * components_.means;  // [B, K, d]
    // Along a component's own axes its covariance is diagonal.
    const at::Tensor along =
        components_.axes.defined() ? at::einsum("bkd,kde->bke", {gap, components_.axes}) : gap;  // [B, K, d]
    const at::Tensor variance = a * a * components_.variances + s * s;                           // [K, d]
    const at::Tensor log_density = components_.log_weights - 0.5 * variance.log().sum(1) -
                                   0.5 * (along.square() / variance).sum(2);  // [B, K], but for a constant
    const at::Tensor share = at::softmax(log_density, 1).unsqueeze(2);        // [B, K, 1]
    at::Tensor pull = share * along / variance;                               // [B, K, d]
    if (components_.axes.defined()) pull = at::einsum("bke,kde->bkd", {pull, components_.axes});
    return (s * pull.sum(1)).view_as(z_t).to(options_);  // [B, c, h, w]
  }

  at::TensorOptions options_;
  NoiseSchedule schedule_;
  Components components_;
  PriorGeometry geometry_;
  std::vector<std::int64_t> latent_shape_, image_shape_;  // [c, h, w], [C, H, W]
  at::Tensor decoder_, encoder_, offset_;                 // [C H W, d], [d, C H W], [C H W]; or undefined
  std::string sha256_;
};

}  // namespace

std::unique_ptr<Prior> make_gaussian_mixture(const GaussianMixture& mixture,
                                             const at::TensorOptions& options) {
  return guarded_load("the Gaussian mixture",
                      [&] { return std::make_unique<GaussianMixturePrior>(mixture, options); });
}

}  // namespace dwgf
