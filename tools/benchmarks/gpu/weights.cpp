#include <algorithm>
#include <cmath>
#include <fstream>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "gpu/checks.hpp"
#include "prior/files/safetensors.hpp"
#include "prior/models/autoencoder.hpp"
#include "prior/models/unet.hpp"

namespace dwgf::gpu {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// https://huggingface.co/docs/diffusers: what save_pretrained writes of stable-diffusion-2-1-base, without
// the defaults of these classes.
json unet_config(bool tiny) {
  json config = {{"_class_name", "UNet2DConditionModel"}, {"use_linear_projection", true}};
  if (tiny) {
    config.update({{"sample_size", 8},
                   {"layers_per_block", 1},
                   {"block_out_channels", {32, 64, 64}},
                   {"down_block_types", {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"}},
                   {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}},
                   {"cross_attention_dim", 32},
                   {"norm_num_groups", 16},
                   {"attention_head_dim", {2, 4, 4}}});
  } else {
    config.update({{"sample_size", 64},
                   {"block_out_channels", {320, 640, 1280, 1280}},
                   {"cross_attention_dim", 1024},
                   {"attention_head_dim", {5, 10, 20, 20}}});
  }
  return config;
}

json autoencoder_config(bool tiny) {
  const std::size_t levels = tiny ? 3 : 4;
  return {{"_class_name", "AutoencoderKL"},
          {"layers_per_block", tiny ? 1 : 2},
          {"block_out_channels", tiny ? json{16, 32, 32} : json{128, 256, 512, 512}},
          {"norm_num_groups", tiny ? 8 : 32},
          {"down_block_types", std::vector<std::string>(levels, "DownEncoderBlock2D")},
          {"up_block_types", std::vector<std::string>(levels, "UpDecoderBlock2D")},
          {"scaling_factor", 0.18215}};
}

const json kScheduler = {{"_class_name", "DDIMScheduler"},
                         {"beta_start", 0.00085},
                         {"beta_end", 0.012},
                         {"beta_schedule", "scaled_linear"},
                         {"clip_sample", false},
                         {"set_alpha_to_one", false},
                         {"steps_offset", 1}};

void write_json(const fs::path& file, const json& content) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << content.dump(2) << '\n';
}

/// Values on which a network stays bounded: U(-1, 1) / sqrt(inputs) for matrices, 1 and 0 for norms.
class Values {
 public:
  Values() : pool_(at::rand({std::int64_t{1} << 22}).mul_(2).sub_(1)) {}
  at::Tensor like(const std::string& name, at::IntArrayRef shape) {
    if (shape.size() == 1)
      return at::full(shape, name.ends_with("weight") ? 1.0 : 0.0, at::TensorOptions(at::kHalf));
    const std::int64_t count = c10::multiply_integers(shape), size = pool_.numel();
    const double bound = 1.0 / std::sqrt(static_cast<double>(count / shape[0]));
    const std::int64_t own = std::min(count, size / 2), begin = 97 * ++tensors_ % (size - own);
    const at::Tensor values = (pool_.slice(0, begin, begin + own) * bound).to(at::kHalf);
    return values.repeat({(count + own - 1) / own}).slice(0, 0, count).view(shape);
  }

 private:
  at::Tensor pool_;
  std::int64_t tensors_ = 0;
};

/// A model's parameters in float16. @return their bytes
template <class Model>
std::uint64_t write_parameters(const Model& plan, const fs::path& file) {
  Values values;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::uint64_t bytes = 0;
  for (const auto& item : plan.named_parameters()) {
    tensors.emplace_back(item.key(), values.like(item.key(), item.value().sizes()).contiguous());
    bytes += tensors.back().second.nbytes();
  }
  write_safetensors(file, tensors, {{"format", "pt"}});
  return bytes;
}

}  // namespace

void make_weights(const fs::path& folder, bool tiny, Table& table) {
  const char* const name = "diffusion_pytorch_model.safetensors";
  write_json(folder / "unet/config.json", unet_config(tiny));
  write_json(folder / "vae/config.json", autoencoder_config(tiny));
  write_json(folder / "scheduler/scheduler_config.json", kScheduler);
  const at::TensorOptions plan = at::TensorOptions(at::kFloat).device(at::kMeta);
  const UNet unet(read_unet_config(folder / "unet/config.json"), plan);
  const Autoencoder autoencoder(read_autoencoder_config(folder / "vae/config.json"), plan);
  const std::uint64_t bytes =
      write_parameters(unet, folder / "unet" / name) + write_parameters(autoencoder, folder / "vae" / name);
  table.tell("weights", static_cast<double>(bytes) / (1 << 20), "MiB");
}

}  // namespace dwgf::gpu
