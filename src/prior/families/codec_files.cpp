#include "prior/families/codec_files.hpp"

#include <algorithm>
#include <utility>

#include <dwgf/base/error.hpp>

#include "prior/families/published_models.hpp"
#include "prior/files/config_file.hpp"
#include "prior/files/loading.hpp"
#include "prior/models/autoencoder.hpp"
#include "prior/models/autoencoder_codec.hpp"
#include "prior/models/memory.hpp"
#include "prior/models/tiny_autoencoder.hpp"
#include "prior/nn/blocks.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// Where the autoencoder of a directory lies: people name either a model or its autoencoder alone.
fs::path autoencoder_folder(const fs::path& directory) {
  std::error_code ignored;
  return fs::is_directory(directory / "vae", ignored) ? directory / "vae" : directory;
}

AnyAutoencoderConfig read_config(const fs::path& file) {
  if (config_class(file) == "AutoencoderTiny") return read_tiny_autoencoder_config(file);
  return read_autoencoder_config(file);
}

std::shared_ptr<const CodecNetwork> load_network(const AutoencoderConfig& config, const Weights& weights,
                                                 const at::TensorOptions& tensors, FileHashes& hashes) {
  return load_model<Autoencoder>(config, weights, current_attention_name, tensors, hashes);
}

std::shared_ptr<const CodecNetwork> load_network(const TinyAutoencoderConfig& config, const Weights& weights,
                                                 const at::TensorOptions& tensors, FileHashes& hashes) {
  return load_model<TinyAutoencoder>(config, weights, tiny_names(config), tensors, hashes);
}

template <class Config>
std::uint64_t bytes_of(const Config& config, std::optional<DecoderGradient> wanted, const CallSize& size,
                       std::uint64_t limit) {
  const GradientBytes gradient =
      decoder_gradient_bytes(config, chosen_gradient(config, wanted, size, limit), size);
  // The decoder's gradient waits while the consistency term encodes and decodes.
  const std::uint64_t consistency =
      gradient.kept + std::max(encoder_bytes(config, size), decoder_bytes(config, size));
  return std::max(gradient.peak, consistency);
}

}  // namespace

AutoencoderFolder::AutoencoderFolder(fs::path folder, const PriorOptions& options, bool upcasts)
    : folder_(std::move(folder)),
      tensors_(at::TensorOptions(options.dtype).device(options.device)),
      precision_{options.autoencoder_type.value_or(options.dtype), options.autoencoder_tf32},
      gradient_(options.decoder_gradient),
      config_(read_config(folder_ / "config.json")) {
  const auto* config = std::get_if<AutoencoderConfig>(&config_);
  if (upcasts && config != nullptr && config->force_upcast && is_half(precision_.type))
    precision_.type = at::kFloat;
}

PriorGeometry AutoencoderFolder::geometry() const {
  const CodecScale scale = std::visit([](const auto& config) { return scale_of(config); }, config_);
  return {.image_channels = scale.image_channels,
          .latent_channels = scale.latent_channels,
          .factor = scale.factor};
}

std::shared_ptr<const Codec> AutoencoderFolder::load(const Weights& weights, FileHashes& hashes,
                                                     std::shared_ptr<Fp32Retries> retries) const {
  return std::visit(
      [&](const auto& config) {
        return load_half<Codec>(
            weights, precision_, tensors_.dtype().toScalarType(), hashes, std::move(retries),
            [config, wanted = gradient_, tensors = tensors_](const Weights& stored,
                                                             NetworkPrecision precision, FileHashes& seen) {
              auto network = load_network(config, stored, tensors.dtype(precision.type), seen);
              const auto choice = [config, wanted,
                                   limit = plain_gradient_limit(tensors.device())](const CallSize& size) {
                return chosen_gradient(config, wanted, size, limit);
              };
              return std::make_shared<AutoencoderCodec>(std::move(network), scale_of(config), tensors,
                                                        precision, choice);
            });
      },
      config_);
}

std::uint64_t AutoencoderFolder::step_bytes(std::int64_t batch, std::int64_t height,
                                            std::int64_t width) const {
  const CallSize size{batch, height, width, c10::elementSize(precision_.type)};
  const std::uint64_t limit = plain_gradient_limit(tensors_.device());
  return std::visit([&](const auto& config) { return bytes_of(config, gradient_, size, limit); }, config_);
}

CodecFiles::CodecFiles(const fs::path& directory, const PriorOptions& options, bool upcasts)
    : own_(directory / "vae", options, upcasts), keeps_own_(options.keeps_own_codec) {
  if (!options.codec.empty()) {
    other_.emplace(autoencoder_folder(options.codec), options, upcasts);
    require_interchangeable();
  }
  const at::ScalarType asked = options.autoencoder_type.value_or(options.dtype);
  const at::ScalarType type = used().precision().type;
  if (type == at::kHalf && options.device.is_cpu())
    warnings_.push_back(slow_precision_warning("autoencoder"));
  if (type != asked) {
    warnings_.emplace_back(
        "the autoencoder computes in fp32, as its config.json asks for (force_upcast): it leaves the range "
        "of "
        "half precision");
  }
}

void CodecFiles::require_interchangeable() const {
  const PriorGeometry own = own_.geometry(), other = other_->geometry();
  if (own.latent_channels != other.latent_channels || own.image_channels != other.image_channels ||
      own.factor != other.factor) {
    throw DataError(
        "prior: the autoencoder in {} makes latents of {} channels, 1/{} of the size of images of {} "
        "channels; "
        "the prior's own in {} makes {} channels, 1/{} of images of {}: name one that was made for this "
        "prior's latents",
        other_->folder().string(), other.latent_channels, other.factor, other.image_channels,
        own_.folder().string(), own.latent_channels, own.factor, own.image_channels);
  }
}

std::vector<Weights> CodecFiles::open() const {
  std::vector<Weights> weights;
  weights.emplace_back(own_.folder(), kWeightsStem);
  if (other_) weights.emplace_back(other_->folder(), kWeightsStem);
  return weights;
}

void CodecFiles::load_into(Prior& prior, const std::vector<Weights>& weights, FileHashes& hashes) const {
  prior.geometry = geometry();
  prior.codec = used().load(weights.back(), hashes, prior.retries);
  if (other_ && keeps_own_) prior.full_codec = own_.load(weights.front(), hashes, prior.retries);
}

std::uint64_t CodecFiles::step_bytes(std::int64_t batch, std::int64_t height, std::int64_t width) const {
  const std::uint64_t bytes = used().step_bytes(batch, height, width);
  return other_ && keeps_own_ ? std::max(bytes, own_.step_bytes(batch, height, width)) : bytes;
}

}  // namespace dwgf
