#include "prior/families/description.hpp"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <dwgf/prior/families/known_families.hpp>

#include "prior/families/known_models.hpp"
#include "prior_files.hpp"

namespace dwgf::test {
namespace {

void write_config(const fs::path& file, const nlohmann::json& config) {
  fs::create_directories(file.parent_path());
  write_bytes(file, config.dump());
}

TEST(Description, CountsWhatTheWeightsHold) {
  const PriorDescription description = describe_prior(data("sd2"));
  EXPECT_EQ(description.problem, "");
  EXPECT_EQ(description.family, "stable_diffusion");
  EXPECT_EQ(description.prediction, "v_prediction");
  EXPECT_EQ(description.scheduler, "PNDMScheduler");
  ASSERT_EQ(description.networks.size(), 2u);
  std::int64_t numbers = 0;
  // The U-Net is in shards; every number of them counts once.
  for (const auto& shard : fs::directory_iterator(data("sd2") / "unet")) {
    if (shard.path().extension() != ".safetensors") continue;
    for (const auto& [name, tensor] : read_all(shard.path())) numbers += tensor.numel();
  }
  EXPECT_EQ(description.networks.front().parameters, numbers);
  EXPECT_EQ(description.networks.front().type, "F16");
  EXPECT_EQ(description.networks.front().bytes, static_cast<std::uint64_t>(2 * numbers));
  EXPECT_EQ(description.factor, 4);
}

TEST(Description, EachFamilyOfTheTestsIsNamed) {
  EXPECT_EQ(describe_prior(data("ddpm")).family, "pixel_diffusion");
  EXPECT_EQ(describe_prior(data("photo")).family, "photographs");
  EXPECT_EQ(describe_prior(data("ddpm2")).prediction, "v_prediction");
  EXPECT_EQ(describe_prior(data("mixture.h5")).family, "gaussian_mixture");
  EXPECT_EQ(describe_prior(data("sdxl")).family, "stable_diffusion_xl");
  EXPECT_EQ(describe_prior(data("sd35")).family, "stable_diffusion_3");
  EXPECT_EQ(describe_prior(data("sd35")).prediction, "velocity");
  EXPECT_EQ(describe_prior(data("lcm")).steps, "1 to 8");
  EXPECT_NE(describe_prior(data("taesd")).family.find("prior.codec"), std::string::npos);
}

TEST(Description, WhatIsWrongIsSaidAndNotThrown) {
  const TemporaryFolder folder;
  EXPECT_NE(describe_prior(folder.path() / "nothing").problem, "");
  fs::create_directories(folder.path() / "empty");
  EXPECT_NE(describe_prior(folder.path() / "empty").problem.find("unet/"), std::string::npos);
  write_config(folder.path() / "cut" / "unet" / "config.json", {{"_class_name", "UNet2DConditionModel"}});
  const PriorDescription cut = describe_prior(folder.path() / "cut");
  ASSERT_EQ(cut.networks.size(), 1u);
  EXPECT_NE(cut.networks.front().problem.find("safetensors"), std::string::npos)
      << cut.networks.front().problem;
  write_bytes(folder.path() / "cut" / "unet" / "config.json", "{");
  EXPECT_NE(describe_prior(folder.path() / "cut").problem, "");
}

// Shapes as their authors publish them.
TEST(KnownModels, AreToldByTheirConfigurations) {
  const TemporaryFolder folder;
  const auto names = [&](const std::string& network, const nlohmann::json& config) {
    fs::remove_all(folder.path() / "model");
    write_config(folder.path() / "model" / network / "config.json", config);
    std::string all;
    for (const KnownModel* model : models_of(denoiser_shape(folder.path() / "model")))
      all += std::string(model->name) + ";";
    return all;
  };
  nlohmann::json unet = {{"_class_name", "UNet2DConditionModel"},
                         {"cross_attention_dim", 768},
                         {"block_out_channels", {320, 640, 1280, 1280}},
                         {"sample_size", 64}};
  EXPECT_EQ(names("unet", unet), "Stable Diffusion 1.4, 1.5;");
  unet["time_cond_proj_dim"] = 256;
  EXPECT_NE(names("unet", unet).find("LCM Dreamshaper"), std::string::npos);
  unet["time_cond_proj_dim"] = nullptr;
  unet["cross_attention_dim"] = 1024;
  EXPECT_EQ(names("unet", unet), "Stable Diffusion 2.1-base;SD-Turbo;");
  unet["sample_size"] = 96;
  EXPECT_EQ(names("unet", unet), "Stable Diffusion 2.1;");
  unet["block_out_channels"] = {320, 640, 1280};
  unet["cross_attention_dim"] = 2048;
  unet["sample_size"] = 64;
  EXPECT_EQ(names("unet", unet), "SDXL-Turbo;");
  unet["sample_size"] = 128;
  EXPECT_NE(names("unet", unet).find("Stable Diffusion XL base"), std::string::npos);
  nlohmann::json transformer = {{"_class_name", "SD3Transformer2DModel"},
                                {"joint_attention_dim", 4096},
                                {"num_attention_heads", 24},
                                {"num_layers", 24},
                                {"sample_size", 128},
                                {"dual_attention_layers", {0, 1, 2}}};
  EXPECT_EQ(names("transformer", transformer), "Stable Diffusion 3.5 medium;");
  transformer["dual_attention_layers"] = nlohmann::json::array();
  EXPECT_EQ(names("transformer", transformer), "Stable Diffusion 3 medium;");
  EXPECT_EQ(names("transformer", {{"_class_name", "FluxTransformer2DModel"}}), "");
  EXPECT_EQ(names("unet", {{"block_out_channels", {8, 8}}}), "");
}

TEST(KnownModels, HaveFamiliesThatAreThere) {
  for (const KnownModel& model : known_models()) {
    bool found = false;
    for (const PriorFamily& family : known_families())
      found = found || family.name == std::string(model.family);
    EXPECT_TRUE(found) << model.name;
  }
}

}  // namespace
}  // namespace dwgf::test
