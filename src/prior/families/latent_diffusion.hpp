/// What the families of Stable Diffusion with a U-Net share: a directory's unet/, scheduler/ and vae/. A
/// family adds how its prompts are read.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "prior/families/codec_files.hpp"
#include "prior/families/diffusion_path.hpp"
#include "prior/families/prompts.hpp"
#include "prior/models/unet_config.hpp"

namespace dwgf {

class LatentDiffusion {
 public:
  /// Reads the configurations. `upcasts`: an autoencoder whose configuration has force_upcast computes in
  /// float32 where half precision is asked for. Throws NotFoundError, DataError, UsageError where both a
  /// prompt and an embedding are given.
  LatentDiffusion(const std::filesystem::path& directory, const PriorOptions& options, bool upcasts);

  const std::filesystem::path& directory() const { return directory_; }
  const PriorOptions& options() const { return options_; }
  const at::TensorOptions& tensors() const { return tensors_; }
  const UNetConfig& unet() const { return unet_; }

  /// The embedding that was given in place of a prompt, else one token of zeros; the pooled embedding, where
  /// the U-Net takes one, is zeros. Throws DataError for an embedding of another shape.
  Conditioning without_prompt() const;

  /// Loads the networks. `reader` may be null: images are then told without_prompt().
  std::unique_ptr<Prior> load(std::shared_ptr<PromptReader> reader) const;

 private:
  std::shared_ptr<const Denoiser> denoiser(const Weights& weights, FileHashes& hashes,
                                           std::shared_ptr<Fp32Retries> retries) const;
  Conditioned conditioned() const;
  std::vector<std::string> warnings() const;

  std::filesystem::path directory_;
  PriorOptions options_;
  at::TensorOptions tensors_;
  NetworkPrecision unet_precision_;
  DiffusionPath path_;
  CodecFiles codec_;
  UNetConfig unet_;
};

/// Throws DataError unless text encoders in `folders` make embeddings of as many channels as the U-Net in
/// `directory` attends to.
void require_context_channels(std::int64_t made, const std::string& folders, const LatentDiffusion& model);

}  // namespace dwgf
