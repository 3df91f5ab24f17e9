#include <filesystem>
#include <utility>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/families/latent_diffusion.hpp"
#include "prior/files/loading.hpp"
#include "prior/models/prompt_encoder.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// One text encoder, whose last layer the U-Net attends to.
class OneEncoder final : public PromptReader {
 public:
  explicit OneEncoder(PromptEncoder encoder) : encoder_(std::move(encoder)) {}

  std::vector<const Weights*> weights() const override { return {&encoder_.weights()}; }
  Conditioning read(const std::string& prompt, FileHashes& hashes) override {
    return {.tokens = encoder_.encode(prompt, hashes).last};
  }
  bool cuts_short(const std::string& prompt) const override { return encoder_.cuts_short(prompt); }
  void release() override { encoder_.release(); }

 private:
  PromptEncoder encoder_;
};

std::shared_ptr<PromptReader> prompt_reader(const LatentDiffusion& model) {
  const fs::path& directory = model.directory();
  if (model.options().context.defined()) return nullptr;
  if (!has_text_encoder(directory, "")) {
    if (model.options().prompt.empty()) return nullptr;
    throw NotFoundError(
        "prior: there is no folder {}, so the prompt cannot be encoded; fetch text_encoder/ and tokenizer/ "
        "too, give the prompt's embedding, or leave the prompt out",
        (directory / "text_encoder").string());
  }
  PromptEncoder encoder(directory, "", model.tensors());
  require_context_channels(encoder.config().channels, encoder.weights().folder().string(), model);
  return std::make_shared<OneEncoder>(std::move(encoder));
}

}  // namespace

bool is_stable_diffusion(const std::string& directory) {
  std::error_code ignored;
  return fs::is_directory(directory, ignored);
}

std::unique_ptr<Prior> load_stable_diffusion(const std::string& directory, const PriorOptions& options) {
  return guarded_load(directory, [&] {
    if (!is_stable_diffusion(directory)) {
      throw NotFoundError(
          "prior: no such directory: {}; name a diffusers directory with unet/, vae/ and scheduler/",
          directory);
    }
    const LatentDiffusion model(directory, options, /*upcasts=*/false);
    return model.load(prompt_reader(model));
  });
}

}  // namespace dwgf
