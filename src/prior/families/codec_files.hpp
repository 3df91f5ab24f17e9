/// The autoencoder of a prior of latents: the one in vae/ of its directory, or one from elsewhere that takes
/// its place, with its own then kept as Prior::full_codec where it is asked for. Every family of latents
/// loads its codec by this.
///
/// Latents stay on the denoiser's scale: each autoencoder brings the scale and shift that its own
/// configuration names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <dwgf/prior/families/known_families.hpp>

#include "prior/files/weights.hpp"
#include "prior/fp32_retry.hpp"
#include "prior/models/autoencoder_config.hpp"
#include "prior/models/tiny_autoencoder_config.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf {

using AnyAutoencoderConfig = std::variant<AutoencoderConfig, TinyAutoencoderConfig>;

/// One autoencoder on disk: a folder with config.json, of an AutoencoderKL or an AutoencoderTiny, and
/// weights.
class AutoencoderFolder {
 public:
  /// Reads the configuration; of one with force_upcast half precision is float32 where `upcasts`. Throws
  /// NotFoundError, DataError.
  AutoencoderFolder(std::filesystem::path folder, const PriorOptions& options, bool upcasts);

  const std::filesystem::path& folder() const { return folder_; }
  const AnyAutoencoderConfig& config() const { return config_; }
  PriorGeometry geometry() const;
  std::shared_ptr<const Codec> load(const Weights& weights, FileHashes& hashes,
                                    std::shared_ptr<Fp32Retries> retries) const;
  /// As Prior::step_bytes, of the codec's calls alone.
  std::uint64_t step_bytes(std::int64_t batch, std::int64_t height, std::int64_t width) const;
  const NetworkPrecision& precision() const { return precision_; }

 private:
  std::filesystem::path folder_;
  at::TensorOptions tensors_;
  NetworkPrecision precision_;
  std::optional<DecoderGradient> gradient_;
  AnyAutoencoderConfig config_;
};

class CodecFiles {
 public:
  /// Reads the configurations in `directory`/vae and in options.codec, or in options.codec/vae, where that is
  /// named; `upcasts` as AutoencoderFolder has it. Throws NotFoundError, DataError: also where the two differ
  /// in channels or factor.
  CodecFiles(const std::filesystem::path& directory, const PriorOptions& options, bool upcasts = false);

  /// Of the codec that is used.
  PriorGeometry geometry() const { return used().geometry(); }
  /// Of the directory's own where it is an AutoencoderKL, else nothing.
  const AutoencoderConfig* own_config() const { return std::get_if<AutoencoderConfig>(&own_.config()); }
  /// What is allowed of the precision but probably not meant.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// The weights of both, the directory's own first: what a prior's sha256 is to include.
  std::vector<Weights> open() const;
  /// Fills codec, full_codec and geometry. @pre `weights` come from open()
  void load_into(Prior& prior, const std::vector<Weights>& weights, FileHashes& hashes) const;
  /// As Prior::step_bytes, of the codecs' calls alone.
  std::uint64_t step_bytes(std::int64_t batch, std::int64_t height, std::int64_t width) const;

 private:
  void require_interchangeable() const;
  const AutoencoderFolder& used() const { return other_ ? *other_ : own_; }

  AutoencoderFolder own_;
  std::optional<AutoencoderFolder> other_;
  bool keeps_own_;
  std::vector<std::string> warnings_;
};

}  // namespace dwgf
