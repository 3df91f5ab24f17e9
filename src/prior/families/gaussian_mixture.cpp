#include <filesystem>
#include <span>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "hdf5/hdf5_arrays.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/sha256.hpp"
#include "prior/nn/autograd_vjp.hpp"

namespace dwgf {
namespace {

[[noreturn]] void refuse(const char* part, const std::string& found, const std::string& wanted) {
  throw DataError("prior: the mixture's {} {}; {}", part, found, wanted);
}

void require(bool good, const char* part, const std::string& found, const std::string& wanted) {
  if (!good) refuse(part, found, wanted);
}

std::string shape_of(const at::Tensor& tensor) {
  return tensor.defined() ? formatted("have the shape {}", tensor.sizes()) : "are not there";
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
          formatted("one for each of the {} components is needed", count));
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
            formatted("[{}, {}, {}] or that of the means is needed", count, d, d));
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
    const std::string shape = formatted("{}", dense.sizes());
    hash.update(std::as_bytes(std::span(shape)));
    hash.update({static_cast<const std::byte*>(dense.const_data_ptr()), dense.nbytes()});
  }
  return hash.finish();
}

/// eps(z_t) = -s grad log p_t(z_t).
class MixtureDenoiser final : public Denoiser {
 public:
  MixtureDenoiser(Components components, const at::TensorOptions& options)
      : components_(std::move(components)), options_(options) {}

  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    const at::NoGradGuard no_grad;
    return exact_noise(z_t, level);
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    return autograd_vjp([&](const at::Tensor& z) { return exact_noise(z, level); }, z_t);
  }

 private:
  at::Tensor exact_noise(const at::Tensor& z_t, const Level& level) const {
    const double a = level.signal, s = level.noise;
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

  Components components_;
  at::TensorOptions options_;
};

/// D(z) = M z + b and E(x) = M^+ (x - b).
class LinearCodec final : public Codec {
 public:
  LinearCodec(const at::Tensor& decoder, const at::Tensor& offset, at::IntArrayRef latent_shape,
              const at::TensorOptions& options)
      : decoder_(decoder.to(options.device())),
        encoder_(at::linalg_pinv(decoder).to(options.device())),
        offset_(offset.reshape({-1}).to(options.device())),
        latent_shape_(latent_shape.vec()),
        image_shape_(offset.sizes().vec()),
        options_(options) {}

  at::Tensor decode(const at::Tensor& z) const override { return affine(z, decoder_, offset_, image_shape_); }
  Vjp decode_vjp(const at::Tensor& z) const override {
    return {decode(z), [this](const at::Tensor& cotangent) {
              return affine(cotangent, decoder_.t(), at::zeros({1}, decoder_.options()), latent_shape_);
            }};
  }
  LatentDistribution encode(const at::Tensor& x) const override {
    const at::Tensor z = affine(x, encoder_, -at::mv(encoder_, offset_), latent_shape_);  // M^+ (x - b)
    return {z, at::zeros_like(z)};
  }
  Vjp encode_vjp(const at::Tensor& x) const override {
    return {encode(x).mean, [this](const at::Tensor& cotangent) {
              return affine(cotangent, encoder_.t(), at::zeros({1}, encoder_.options()), image_shape_);
            }};
  }

 private:
  /// matrix v + shift for every sample v [B, ...] -> [B, ...shape]
  at::Tensor affine(const at::Tensor& samples, const at::Tensor& matrix, const at::Tensor& shift,
                    const std::vector<std::int64_t>& shape) const {
    std::vector<std::int64_t> sizes{samples.size(0)};
    sizes.insert(sizes.end(), shape.begin(), shape.end());
    return (at::matmul(samples.flatten(1).to(at::kDouble), matrix.t()) + shift).reshape(sizes).to(options_);
  }

  at::Tensor decoder_, encoder_, offset_;                 // [C H W, d], [d, C H W], [C H W]
  std::vector<std::int64_t> latent_shape_, image_shape_;  // [c, h, w], [C, H, W]
  at::TensorOptions options_;
};

void check_decoder(const GaussianMixture& mixture) {
  const at::Tensor &decoder = mixture.decoder, &offset = mixture.offset;
  require(offset.defined() && offset.dim() == 3, "offset", shape_of(offset),
          "the shape of an image, [C, H, W], is needed beside a decoder");
  require_finite(offset, "offset");
  const std::int64_t d = mixture.means.numel() / mixture.means.size(0);
  require(decoder.sizes() == at::IntArrayRef({offset.numel(), d}), "decoder", shape_of(decoder),
          formatted("[{}, {}] is needed: pixels by latents", offset.numel(), d));
  require_finite(decoder, "decoder");
}

std::unique_ptr<Prior> make(const GaussianMixture& mixture, const at::TensorOptions& options) {
  Components components = components_of(mixture);
  const at::IntArrayRef latent = mixture.means.sizes().slice(1);
  auto prior = std::make_unique<Prior>();
  prior->path = std::make_shared<DdpmSchedule>(mixture.schedule);
  prior->geometry = {.image_channels = latent[0], .latent_channels = latent[0]};
  prior->geometry.only = Canvas{latent[1], latent[2], latent[1], latent[2]};
  if (mixture.decoder.defined()) {
    check_decoder(mixture);
    const at::IntArrayRef image = mixture.offset.sizes();
    prior->geometry.image_channels = image[0];
    prior->geometry.only->height = image[1];
    prior->geometry.only->width = image[2];
    prior->codec = std::make_shared<LinearCodec>(mixture.decoder, mixture.offset, latent, options);
  } else {
    prior->codec = std::make_shared<IdentityCodec>();
  }
  for (at::Tensor* tensor :
       {&components.log_weights, &components.means, &components.variances, &components.axes}) {
    if (tensor->defined()) *tensor = tensor->to(options.device());
  }
  prior->denoiser = std::make_shared<MixtureDenoiser>(std::move(components), options);
  prior->options = options;
  prior->sha256 =
      sha256_of({mixture.weights, mixture.means, mixture.covariances, mixture.decoder, mixture.offset});
  return prior;
}

DdpmScheduleConfig schedule_of(const Hdf5Arrays& file) {
  DdpmScheduleConfig config;
  config.beta_start = file.number("beta_start").value_or(config.beta_start);
  config.beta_end = file.number("beta_end").value_or(config.beta_end);
  const std::string kind = file.text("beta_schedule").value_or("scaled_linear");
  if (kind != "linear" && kind != "scaled_linear") {
    throw DataError("{}: beta_schedule is '{}'; known are linear and scaled_linear", file.path(), kind);
  }
  config.beta_schedule = kind == "linear" ? BetaSchedule::linear : BetaSchedule::scaled_linear;
  return config;
}

}  // namespace

std::unique_ptr<Prior> make_gaussian_mixture(const GaussianMixture& mixture,
                                             const at::TensorOptions& options) {
  return guarded_load("the Gaussian mixture", [&] { return make(mixture, options); });
}

bool is_gaussian_mixture(const std::string& file) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(file, ignored);
}

std::unique_ptr<Prior> load_gaussian_mixture(const std::string& path, const PriorOptions& options) {
  const Hdf5Arrays file(path);
  const auto read = [&](const char* name, bool needed) {
    if (!needed && !file.has(name)) return at::Tensor();
    const NumericArray array = file.read(name);
    return at::tensor(at::ArrayRef<double>(array.values), at::kDouble).reshape(array.shape);
  };
  const GaussianMixture mixture{.weights = read("/weights", true),
                                .means = read("/means", true),
                                .covariances = read("/covariances", true),
                                .decoder = read("/decoder", false),
                                .offset = read("/offset", false),
                                .schedule = schedule_of(file)};
  try {
    return make_gaussian_mixture(mixture, at::TensorOptions(options.dtype).device(options.device));
  } catch (const DataError& error) {
    throw DataError("{}: {}", path, error.what());
  }
}

}  // namespace dwgf
