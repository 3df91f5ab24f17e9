#include "prior/families/published_models.hpp"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

struct Model {
  UNetConfig unet;
  AutoencoderConfig autoencoder;
  DdpmScheduleConfig schedule;
  std::vector<std::string> warnings() const { return published_model_warnings(unet, &autoencoder, schedule); }
};

Model published(std::int64_t context, std::int64_t sample_size, PredictionType prediction) {
  Model model;
  for (const std::int64_t channels : {320, 640, 1280, 1280})
    model.unet.levels.push_back({.channels = channels});
  model.unet.context_channels = context;
  model.unet.sample_size = sample_size;
  model.schedule.prediction = prediction;
  return model;
}

constexpr auto kEpsilon = PredictionType::epsilon, kV = PredictionType::v_prediction;

TEST(PublishedModels, AsPublishedThereIsNothingToSay) {
  EXPECT_TRUE(published(768, 64, kEpsilon).warnings().empty());
  EXPECT_TRUE(published(1024, 64, kEpsilon).warnings().empty());
  EXPECT_TRUE(published(1024, 96, kV).warnings().empty());
}

TEST(PublishedModels, ASchedulerOfTheOtherModelIsNoticed) {
  for (const Model& model :
       {published(768, 64, kV), published(1024, 64, kV), published(1024, 96, kEpsilon)}) {
    ASSERT_EQ(model.warnings().size(), 1U);
    EXPECT_NE(model.warnings()[0].find("prediction_type"), std::string::npos);
  }
}

TEST(PublishedModels, OtherScalesAndBetasAreNoticed) {
  Model model = published(1024, 64, kEpsilon);
  model.autoencoder.scaling_factor = 0.13025;
  ASSERT_EQ(model.warnings().size(), 1U);
  EXPECT_NE(model.warnings()[0].find("0.13025"), std::string::npos);
  model = published(1024, 64, kEpsilon);
  model.schedule.beta_schedule = BetaSchedule::linear;
  EXPECT_EQ(model.warnings().size(), 1U);
  model.schedule.prediction = kV;
  model.autoencoder.scaling_factor = 1.0;
  EXPECT_EQ(model.warnings().size(), 3U);
}

TEST(PublishedModels, OtherShapesAreTheirOwnersBusiness) {
  Model model = published(1024, 64, kV);
  model.unet.levels.back().channels = 640;
  EXPECT_TRUE(model.warnings().empty());
  EXPECT_TRUE(published(1024, 32, kV).warnings().empty());
  EXPECT_TRUE(published(2048, 64, kV).warnings().empty());
}

TEST(PublishedModels, WhatTheTensorsDoIsHeldAgainstTheClaim) {
  EXPECT_FALSE(prediction_warning(kEpsilon, 0.99, 0.998));
  EXPECT_FALSE(prediction_warning(kV, 0.1, 0.998));
  EXPECT_TRUE(prediction_warning(kV, 0.99, 0.998));
  EXPECT_TRUE(prediction_warning(kEpsilon, 0.07, 0.998));
  EXPECT_TRUE(prediction_warning(kEpsilon, std::nan(""), 0.998));
  EXPECT_FALSE(prediction_warning(kV, 0.99, 0.9)) << "too much signal left to tell";
}

/// The built-in prior is the only trained one at hand: it predicts epsilon.
TEST(PublishedModels, TheBuiltInPriorPassesAndDoesNotPassForTheOtherKind) {
  test::TemporaryFolder folder;
  const std::filesystem::path builtin =
      std::filesystem::path(DWGF_SOURCE_DIR) / "configs" / "priors" / "fashion";
  const auto prior = load_stable_diffusion(builtin.string(), {});
  EXPECT_EQ(prior->warnings, std::vector<std::string>());
  EXPECT_EQ(prior->probe(), std::nullopt);
  std::filesystem::copy(builtin, folder.path(), std::filesystem::copy_options::recursive);
  const auto file = folder.path() / "scheduler" / "scheduler_config.json";
  auto config = nlohmann::json::parse(test::read_bytes(file));
  config["prediction_type"] = "v_prediction";
  test::write_bytes(file, config.dump());
  const auto warning = load_stable_diffusion(folder.path().string(), {})->probe();
  ASSERT_TRUE(warning.has_value());
  EXPECT_NE(warning->find("gives back the noise"), std::string::npos) << *warning;
}

TEST(PublishedModels, PartsOfOtherModelsAreNoticedBesideTheTransformerOfStableDiffusion3) {
  JointTransformerConfig medium, large;
  medium.layers = medium.heads = 24;
  large.layers = large.heads = 38;
  AutoencoderConfig own, other;
  own.scaling_factor = 1.5305;
  own.shift_factor = 0.0609;
  for (const JointTransformerConfig& transformer : {medium, large}) {
    EXPECT_TRUE(published_model_warnings(transformer, &own, {.shift = 3.0}).empty());
    EXPECT_TRUE(published_model_warnings(transformer, nullptr, {.shift = 3.0}).empty());
    const auto scaled = published_model_warnings(transformer, &other, {.shift = 3.0});
    ASSERT_EQ(scaled.size(), 1U);
    EXPECT_NE(scaled[0].find("scaling_factor = 0.18215"), std::string::npos) << scaled[0];
    const auto shifted = published_model_warnings(transformer, &own, {.shift = 1.0});
    ASSERT_EQ(shifted.size(), 1U);
    EXPECT_NE(shifted[0].find("shift = 1"), std::string::npos) << shifted[0];
  }
  EXPECT_TRUE(published_model_warnings(JointTransformerConfig{}, &other, {}).empty());
}

}  // namespace
}  // namespace dwgf
