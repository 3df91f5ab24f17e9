#include "prior/models/autoencoder.hpp"

#include <map>

#include "prior/files/weights.hpp"
#include "prior/nn/blocks.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<Autoencoder> load(const fs::path& folder, at::ScalarType type) {
  const Weights weights(folder, "diffusion_pytorch_model");
  FileHashes hashes;
  return load_model<Autoencoder>(read_autoencoder_config(folder / "config.json"), weights,
                                 current_attention_name, at::TensorOptions(type), hashes);
}

TEST(Autoencoder, OldNamesOfAttentionAreTaken) {
  const std::string prefix = "decoder.mid_block.attentions.0.";
  EXPECT_EQ(current_attention_name(prefix + "query.weight"), prefix + "to_q.weight");
  EXPECT_EQ(current_attention_name(prefix + "key.bias"), prefix + "to_k.bias");
  EXPECT_EQ(current_attention_name(prefix + "value.weight"), prefix + "to_v.weight");
  EXPECT_EQ(current_attention_name(prefix + "proj_attn.bias"), prefix + "to_out.0.bias");
  EXPECT_EQ(current_attention_name(prefix + "to_out.0.bias"), prefix + "to_out.0.bias");
  EXPECT_EQ(current_attention_name("encoder.conv_in.weight"), "encoder.conv_in.weight");
}

TEST(Autoencoder, AttentionStoredAsConvolutionsOrUnderOtherNamesIsTheSame) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const at::Tensor z = golden.at("z").to(at::kDouble), x = golden.at("x").to(at::kDouble);
  const at::NoGradGuard no_grad;
  const auto plain = load(test::data("sd1") / "vae", at::kDouble);

  const test::TemporaryFolder folder;
  fs::copy_file(test::data("sd1") / "vae" / "config.json", folder.path() / "config.json");
  std::map<std::string, at::Tensor> tensors;
  const std::map<std::string, std::string> old_names = {
      {"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}};
  for (auto& [name, tensor] :
       test::read_all(test::data("sd1") / "vae" / "diffusion_pytorch_model.safetensors")) {
    std::string renamed = name;
    for (const auto& [now, before] : old_names) {
      if (const auto at = name.find(now); at != std::string::npos) renamed.replace(at, now.size(), before);
    }
    tensors[renamed] = renamed != name && tensor.dim() == 2 ? tensor.unsqueeze(-1).unsqueeze(-1) : tensor;
  }
  test::write_bytes(folder.path() / "diffusion_pytorch_model.safetensors", test::safetensors_bytes(tensors));
  const auto old = load(folder.path(), at::kDouble);
  EXPECT_TRUE(at::equal(plain->decode(z), old->decode(z)));
  EXPECT_TRUE(at::equal(plain->encode(x).mean, old->encode(x).mean));
}

TEST(Autoencoder, VariationsOfItsPartsAreBuiltAsTheConfigurationSays) {
  AutoencoderConfig config{
      .image_channels = 1, .latent_channels = 2, .channels = {4, 8}, .layers = 1, .norm_groups = 2};
  const auto names = [&] {
    std::set<std::string> out;
    for (const auto& item : Autoencoder(config, at::TensorOptions(at::kMeta)).named_parameters())
      out.insert(item.key());
    return out;
  };
  EXPECT_TRUE(names().contains("quant_conv.weight"));
  EXPECT_TRUE(names().contains("encoder.mid_block.attentions.0.to_out.0.weight"));
  EXPECT_TRUE(names().contains("encoder.down_blocks.0.downsamplers.0.conv.weight"));
  EXPECT_TRUE(names().contains("decoder.up_blocks.1.resnets.1.conv1.weight"));
  config.quant_conv = config.post_quant_conv = config.middle_attention = false;
  EXPECT_FALSE(names().contains("quant_conv.weight"));
  EXPECT_FALSE(names().contains("post_quant_conv.weight"));
  EXPECT_FALSE(names().contains("decoder.mid_block.attentions.0.to_q.weight"));
}

TEST(Autoencoder, NoParameterAsksForAGradient) {
  for (const auto& parameter : load(test::data("sd2") / "vae", at::kFloat)->named_parameters()) {
    EXPECT_FALSE(parameter.value().requires_grad()) << parameter.key();
  }
}

TEST(Autoencoder, LogVarianceIsClamped) {
  const auto model = load(test::data("sd1") / "vae", at::kFloat);
  const at::NoGradGuard no_grad;
  for (const double bias : {1e4, -1e4}) {
    model->named_parameters()["quant_conv.bias"].fill_(bias);
    const auto moments = model->encode(at::zeros({1, 3, 32, 32}));
    EXPECT_TRUE(moments.log_variance.eq(bias > 0 ? 20.0 : -30.0).all().item<bool>());
    EXPECT_GT(moments.mean.abs().min().item<float>(), 1e3F);
  }
}

}  // namespace
}  // namespace dwgf
