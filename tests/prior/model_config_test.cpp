#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"
#include "prior/files/scheduler_config.hpp"
#include "prior/models/autoencoder_config.hpp"
#include "prior/models/unet_config.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

using Json = nlohmann::json;

class ModelConfig : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const {
    const auto path = folder_.path() / "config.json";
    test::write_bytes(path, text);
    return path;
  }
  UNetConfig unet(const Json& content) const { return read_unet_config(write(content.dump())); }
  AutoencoderConfig autoencoder(const Json& content) const {
    return read_autoencoder_config(write(content.dump()));
  }
  DdpmScheduleConfig schedule(const Json& content) const {
    return read_scheduler_config(write(content.dump()));
  }

  /// The message names the file and the key.
  template <class Read>
  void expect_refused(Read read, const Json& base, const std::string& key, const Json& value) const {
    SCOPED_TRACE(key + " = " + value.dump());
    Json content = base;
    content[key] = value;
    const auto message = test::message_of<DataError>([&] { read(content); });
    EXPECT_NE(message.find("config.json"), std::string::npos) << message;
    EXPECT_NE(message.find(key), std::string::npos) << message;
    EXPECT_NE(message.find("supported"), std::string::npos) << message;
  }

 private:
  test::TemporaryFolder folder_;
};

TEST_F(ModelConfig, MissingKeysOfAUNetTakeDiffusersDefaults) {
  const auto config = unet(Json::object());
  ASSERT_EQ(config.levels.size(), 4U);
  EXPECT_EQ(config.levels[3].channels, 1280);
  EXPECT_EQ(config.levels[0].layers, 2);
  EXPECT_EQ(config.levels[0].heads, 8);
  EXPECT_TRUE(config.levels[0].attention_down);
  EXPECT_TRUE(config.levels[0].attention_up);
  EXPECT_FALSE(config.levels[3].attention_down);
  EXPECT_FALSE(config.levels[3].attention_up);
  EXPECT_EQ(config.context_channels, 1280);
  EXPECT_EQ(config.time_channels, 1280);
  EXPECT_EQ(config.norm_groups, 32);
  EXPECT_FALSE(config.linear_projection);
  EXPECT_TRUE(config.cosine_first);
}

TEST_F(ModelConfig, ReadsStableDiffusionTwo) {
  const auto config = unet({{"_class_name", "UNet2DConditionModel"},
                            {"_diffusers_version", "0.10.0.dev0"},
                            {"act_fn", "silu"},
                            {"attention_head_dim", {5, 10, 20, 20}},
                            {"block_out_channels", {320, 640, 1280, 1280}},
                            {"cross_attention_dim", 1024},
                            {"dual_cross_attention", false},
                            {"num_class_embeds", nullptr},
                            {"only_cross_attention", false},
                            {"sample_size", 96},
                            {"upcast_attention", true},
                            {"use_linear_projection", true},
                            {"freq_shift", 0},
                            {"downsample_padding", 1}});
  EXPECT_EQ(config.levels[0].heads, 5);
  EXPECT_EQ(config.levels[3].heads, 20);
  EXPECT_EQ(config.context_channels, 1024);
  EXPECT_TRUE(config.linear_projection);
}

TEST_F(ModelConfig, TakesOneValueOrOneForEachLevel) {
  const auto config = unet({{"block_out_channels", {32, 64}},
                            {"norm_num_groups", 8},
                            {"layers_per_block", {1, 3}},
                            {"transformer_layers_per_block", {2, 1}},
                            {"attention_head_dim", 4},
                            {"num_attention_heads", {2, 16}},
                            {"cross_attention_dim", {24, 24}},
                            {"down_block_types", {"DownBlock2D", "CrossAttnDownBlock2D"}},
                            {"up_block_types", {"CrossAttnUpBlock2D", "UpBlock2D"}}});
  EXPECT_EQ(config.levels[1].layers, 3);
  EXPECT_EQ(config.levels[0].transformer_layers, 2);
  EXPECT_EQ(config.levels[1].heads, 16);
  EXPECT_FALSE(config.levels[0].attention_down);
  EXPECT_FALSE(config.levels[0].attention_up);
  EXPECT_TRUE(config.levels[1].attention_down);
  EXPECT_TRUE(config.levels[1].attention_up);
}

TEST_F(ModelConfig, RefusesUNetsOfOtherKinds) {
  const std::vector<std::pair<std::string, Json>> refused = {
      {"_class_name", "UNet2DModel"},
      {"_class_name", 3},
      {"act_fn", "gelu"},
      {"mid_block_type", "UNetMidBlock2D"},
      {"time_embedding_type", "fourier"},
      {"resnet_time_scale_shift", "scale_shift"},
      {"attention_type", "gated"},
      {"center_input_sample", true},
      {"only_cross_attention", true},
      {"only_cross_attention", {true, true, true, false}},
      {"dual_cross_attention", true},
      {"resnet_skip_time_act", true},
      {"class_embeddings_concat", true},
      {"downsample_padding", 0},
      {"mid_block_scale_factor", 1.4},
      {"resnet_out_scale_factor", 2.0},
      {"conv_in_kernel", 5},
      {"conv_out_kernel", 1},
      {"encoder_hid_dim", 768},
      {"encoder_hid_dim_type", "text_proj"},
      {"class_embed_type", "timestep"},
      {"addition_embed_type", "text_time"},
      {"num_class_embeds", 1000},
      {"time_embedding_act_fn", "silu"},
      {"timestep_post_act", "silu"},
      {"cross_attention_norm", "layer_norm"},
      {"reverse_transformer_layers_per_block", {1, 1, 1, 1}},
      {"in_channels", 9},
      {"in_channels", 0},
      {"out_channels", 8},
      {"in_channels", "4"},
      {"in_channels", 4.5},
      {"in_channels", 1e300},
      {"use_linear_projection", 1},
      {"block_out_channels", Json::array()},
      {"block_out_channels", 320},
      {"block_out_channels", {320, 640, 1280, -1280}},
      {"block_out_channels", {320, 640, 1280, 1LL << 40}},
      {"norm_num_groups", 0},
      {"norm_num_groups", 7},
      {"norm_eps", 0},
      {"norm_eps", "small"},
      {"layers_per_block", 0},
      {"layers_per_block", {1, 2}},
      {"layers_per_block", 1000000},
      {"attention_head_dim", 7},
      {"attention_head_dim", 0},
      {"attention_head_dim", {5, 10}},
      {"cross_attention_dim", {768, 768, 768, 1024}},
      {"cross_attention_dim", -1},
      {"transformer_layers_per_block", {{1}, {1}, {1}, {1}}},
      {"down_block_types", {"DownBlock2D"}},
      {"down_block_types", {"KDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"}},
      {"up_block_types", "UpBlock2D"},
      {"freq_shift", 160},
      {"freq_shift", -1},
      {"time_embedding_dim", 0},
      {"flip_sin_to_cos", "yes"}};
  for (const auto& [key, value] : refused)
    expect_refused([&](const Json& content) { (void)unet(content); }, Json::object(), key, value);
  expect_refused([&](const Json& content) { (void)unet(content); },
                 {{"norm_num_groups", 1}, {"attention_head_dim", 1}}, "block_out_channels",
                 {321, 640, 1280, 1280});
}

TEST_F(ModelConfig, ReadsAutoencoders) {
  const auto defaults = autoencoder(Json::object());
  EXPECT_EQ(defaults.channels, (std::vector<std::int64_t>{64}));
  EXPECT_EQ(defaults.layers, 1);
  EXPECT_EQ(defaults.scaling_factor, 0.18215);
  EXPECT_TRUE(defaults.quant_conv && defaults.post_quant_conv && defaults.middle_attention);
  const auto config = autoencoder({{"block_out_channels", {128, 256}},
                                   {"layers_per_block", 2},
                                   {"latent_channels", 16},
                                   {"scaling_factor", 1.5305},
                                   {"shift_factor", 0.0609},
                                   {"use_quant_conv", false},
                                   {"use_post_quant_conv", false},
                                   {"mid_block_add_attention", false},
                                   {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D"}},
                                   {"sample_size", 512}});
  EXPECT_EQ(config.shift_factor, 0.0609);
  EXPECT_EQ(config.latent_channels, 16);
  EXPECT_FALSE(config.quant_conv || config.post_quant_conv || config.middle_attention);
}

TEST_F(ModelConfig, RefusesAutoencodersOfOtherKinds) {
  const std::vector<std::pair<std::string, Json>> refused = {
      {"_class_name", "VQModel"},
      {"act_fn", "relu"},
      {"latents_mean", {0.0, 0.0, 0.0, 0.0}},
      {"latents_std", {1.0}},
      {"in_channels", 0},
      {"out_channels", 1},
      {"latent_channels", 0},
      {"block_out_channels", {64, 0}},
      {"norm_num_groups", 48},
      {"block_out_channels", {64, 64, 64, 64, 64, 64, 64, 64, 64}},
      {"down_block_types", {"AttnDownEncoderBlock2D"}},
      {"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D"}},
      {"layers_per_block", {1}},
      {"norm_num_groups", 7},
      {"scaling_factor", 0.0},
      {"scaling_factor", -1.0},
      {"scaling_factor", 1e300},
      {"shift_factor", "none"},
      {"use_quant_conv", "no"}};
  for (const auto& [key, value] : refused)
    expect_refused([&](const Json& content) { (void)autoencoder(content); }, Json::object(), key, value);
}

TEST_F(ModelConfig, ReadsSchedulers) {
  const auto defaults = schedule({{"_class_name", "DDIMScheduler"}});
  EXPECT_EQ(defaults.train_steps, 1000);
  EXPECT_EQ(defaults.beta_schedule, BetaSchedule::linear);
  EXPECT_EQ(defaults.beta_start, 0.0001);
  EXPECT_EQ(defaults.beta_end, 0.02);
  EXPECT_EQ(defaults.steps_offset, 0);
  EXPECT_EQ(defaults.prediction, PredictionType::epsilon);
  const auto config = schedule({{"_class_name", "EulerDiscreteScheduler"},
                                {"beta_schedule", "scaled_linear"},
                                {"beta_start", 0.00085},
                                {"beta_end", 0.012},
                                {"steps_offset", 1},
                                {"prediction_type", "v_prediction"},
                                {"trained_betas", nullptr},
                                {"timestep_spacing", "linspace"},
                                {"skip_prk_steps", true}});
  EXPECT_EQ(config.beta_schedule, BetaSchedule::scaled_linear);
  EXPECT_EQ(config.prediction, PredictionType::v_prediction);
  EXPECT_EQ(config.steps_offset, 1);
  const auto trained = schedule({{"num_train_timesteps", 3}, {"trained_betas", {0.1, 0.2, 0.3}}});
  EXPECT_EQ(trained.trained_betas, (std::vector<float>{0.1F, 0.2F, 0.3F}));
}

TEST_F(ModelConfig, RefusesSchedulersOfOtherKinds) {
  const std::vector<std::pair<std::string, Json>> refused = {
      {"_class_name", "FlowMatchEulerDiscreteScheduler"},
      {"prediction_type", "flow_prediction"},
      {"beta_schedule", "sigmoid"},
      {"rescale_betas_zero_snr", true},
      {"use_flow_sigmas", true},
      {"timestep_type", "continuous"},
      {"num_train_timesteps", 2},
      {"num_train_timesteps", 1e9},
      {"beta_start", -0.1},
      {"beta_end", 1.5},
      {"beta_end", "0.02"},
      {"steps_offset", -1},
      {"steps_offset", 1000},
      {"trained_betas", {0.1, 0.2}},
      {"trained_betas", 0.1},
      {"trained_betas", {"a"}}};
  for (const auto& [key, value] : refused)
    expect_refused([&](const Json& content) { (void)schedule(content); }, Json::object(), key, value);
}

TEST_F(ModelConfig, RefusesWhatIsNotAConfiguration) {
  for (const char* text : {"", "nonsense", "[]", "3", "{\"a\":1", "{\"in_channels\":4,\"in_channels\":8}"}) {
    SCOPED_TRACE(text);
    EXPECT_THROW(read_unet_config(write(text)), DataError);
  }
  EXPECT_THROW(read_unet_config(write(std::string(100'000, '['))), DataError);
  EXPECT_THROW(read_unet_config("/nowhere/config.json"), NotFoundError);
}

}  // namespace
}  // namespace dwgf
