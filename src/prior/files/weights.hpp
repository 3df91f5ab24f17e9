/// The weights of one model as people have them on disk: a folder with config.json and safetensors, in one
/// file or in several with an index, possibly of a variant (`diffusion_pytorch_model.fp16.safetensors`); and
/// the one strict loop that loads them into a module. Layout:
/// https://huggingface.co/docs/diffusers/using-diffusers/other-formats
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "prior/files/mapped_file.hpp"
#include "prior/files/safetensors.hpp"

namespace dwgf {

/// SHA-256 of the files of one load, so that each is computed once: while its bytes are read anyway.
using FileHashes = std::map<FileIdentity, std::string>;

class Weights {
 public:
  /// Opens the weights called `stem` in a folder: `stem.safetensors`, else `stem.safetensors.index.json`,
  /// else a variant of either (fp16 first). Throws NotFoundError that names the file, DataError where only
  /// pickled weights (.bin, .ckpt) are there, where the index is not one, or where two files hold
  /// the same name.
  Weights(const std::filesystem::path& folder, const std::string& stem);

  const std::filesystem::path& folder() const { return folder_; }
  /// Sorted by name.
  const std::vector<SafetensorsFile>& files() const { return files_; }

 private:
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
};

/// The parameter that a stored name belongs to; nothing where the tensor is to be left out.
using NameRule = std::function<std::optional<std::string>(const std::string& stored_name)>;

/// Every stored name is the parameter's own, but "...position_ids", which older text encoders store, is left
/// out.
std::optional<std::string> same_name(const std::string& stored_name);

/// Copies every stored tensor into the module's parameter of that name, straight from the file into the
/// parameter's type and device, in the order of the bytes; what was read is released at once, so that memory
/// holds the parameters and one stored tensor at most. A 1x1 convolution's weight [a, b, 1, 1] also serves a
/// linear layer [a, b]. Files that `hashes` does not know are hashed in the same pass, tensors left out
/// included.
/// Throws DataError listing what is missing, unexpected or of another shape, unless names and shapes agree
/// one to one, and naming a tensor with a value that is not finite; parameters on the meta device are checked
/// only, without reading.
void load_parameters(torch::nn::Module& module, const Weights& weights, const NameRule& rule,
                     FileHashes& hashes);

/// Builds a module and loads it. Names and shapes are checked on a plan without memory first, so that a
/// configuration which does not belong to the weights is refused before anything is allocated.
/// @pre Model(config, at::TensorOptions) creates parameters without initialising them.
template <class Model, class Config>
std::shared_ptr<Model> load_model(const Config& config, const Weights& weights, const NameRule& rule,
                                  const at::TensorOptions& options, FileHashes& hashes) {
  Model plan(config, at::TensorOptions(options).device(at::kMeta));
  load_parameters(plan, weights, rule, hashes);
  auto model = std::make_shared<Model>(config, options);
  load_parameters(*model, weights, rule, hashes);
  return model;
}

/// SHA-256 of the SHA-256 of every file, each as a line of lower-case hexadecimal, in the order given and by
/// name within each: what `sha256sum FILES | cut -c1-64 | sha256sum` prints. Hashes the files that `hashes`
/// does not know.
std::string sha256(const std::vector<const Weights*>& weights, FileHashes& hashes);

}  // namespace dwgf
