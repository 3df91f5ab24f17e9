// U-Nets that were distilled, told their guidance or not, and one that predicts the clean latent, against
// diffusers (tools/make_few_step_golden.py).
#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/prior/families/stable_diffusion.hpp>
#include <dwgf/prior/families/stable_diffusion_xl.hpp>

#include "prior/models/unet.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

class DistilledUNet : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { read("lcm"); }
  void read(const std::string& name) {
    golden_ = test::read_all(test::data(name + ".safetensors"));
    for (auto& [name, tensor] : golden_) {
      if (tensor.scalar_type() == at::kHalf) tensor = tensor.to(GetParam());  // inputs
    }
  }
  std::unique_ptr<Prior> loaded(const std::string& directory, double guidance) const {
    auto prior = load_stable_diffusion(directory, {.dtype = GetParam(), .context = golden_.at("context")});
    prior->conditioning.guidance = guidance;
    return prior;
  }
  static Level level_at(std::int64_t time) { return DdpmSchedule(DdpmScheduleConfig{}).level(time); }
  double tolerance() const { return GetParam() == at::kDouble ? 1e-11 : 1e-5; }

  std::map<std::string, at::Tensor> golden_;
};

TEST_P(DistilledUNet, IsToldItsGuidance) {
  for (const auto& [guidance, name] : {std::pair(1.0, "1.0"), {7.5, "7.5"}}) {
    const auto prior = loaded(test::data("lcm"), guidance);
    for (const int time : {999, 501, 1}) {
      const at::Tensor& expected = golden_.at(std::string("unet.") + name + "." + std::to_string(time));
      EXPECT_LE(relative_error(prior->noise(golden_.at("z"), level_at(time)), expected), tolerance())
          << name << " at " << time;
    }
  }
}

TEST_P(DistilledUNet, PullsACotangentBack) {
  const auto prior = loaded(test::data("lcm"), 7.5);
  const Vjp noise = prior->noise_vjp(golden_.at("z"), level_at(501));
  EXPECT_LE(relative_error(noise.value, golden_.at("unet.7.5.501")), tolerance());
  EXPECT_LE(relative_error(noise.pull(golden_.at("cotangent")), golden_.at("gradient")), tolerance());
}

TEST_P(DistilledUNet, MayPredictTheCleanLatent) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(test::data("lcm"), folder.path(), std::filesystem::copy_options::recursive);
  const auto file = folder.path() / "scheduler" / "scheduler_config.json";
  auto config = nlohmann::json::parse(test::read_bytes(file));
  config["prediction_type"] = "sample";
  test::write_bytes(file, config.dump());
  const auto prior = loaded(folder.path(), 7.5);
  const Level level = level_at(501);
  const at::Tensor z = golden_.at("z").to(at::kDouble);
  EXPECT_LE(relative_error(prior->noise(golden_.at("z"), level),
                           (z - level.signal * golden_.at("unet.7.5.501")) / level.noise),
            tolerance());
  EXPECT_EQ(prior->probe(), std::nullopt);
}

TEST_P(DistilledUNet, OfTurboHasAGradientOfItsOwn) {
  read("turbo");
  const auto prior = loaded(test::data("turbo"), 1.0);
  for (const int time : {999, 749, 499, 249}) {
    EXPECT_LE(relative_error(prior->noise(golden_.at("z"), level_at(time)),
                             golden_.at("unet." + std::to_string(time))),
              tolerance())
        << time;
  }
  const Vjp noise = prior->noise_vjp(golden_.at("z"), level_at(999));
  EXPECT_LE(relative_error(noise.value, golden_.at("unet.999")), tolerance());
  EXPECT_LE(relative_error(noise.pull(golden_.at("cotangent")), golden_.at("gradient")), tolerance());
}

TEST_P(DistilledUNet, OfSdxlIsToldItsGuidanceBesideTextAndSizes) {
  read("lcm_sdxl");
  const auto prior = load_stable_diffusion_xl(test::data("lcm_sdxl"),
                                              {.dtype = GetParam(), .context = golden_.at("context")});
  EXPECT_EQ(prior->few_steps->steps, 4);
  const at::Tensor z = golden_.at("z");
  Conditioning given{.tokens = golden_.at("context"), .pooled = golden_.at("pooled")};
  for (const auto& [guidance, name] : {std::pair(1.0, "1.0"), {8.0, "8.0"}}) {
    given.guidance = guidance;
    for (const int time : {999, 499}) {
      const at::Tensor& expected = golden_.at(std::string("unet.") + name + "." + std::to_string(time));
      EXPECT_LE(relative_error(prior->denoiser->noise(z, level_at(time), given), expected), tolerance())
          << name << " at " << time;
    }
  }
  const Vjp noise = prior->denoiser->noise_vjp(z, level_at(499), given);
  EXPECT_LE(relative_error(noise.value, golden_.at("unet.8.0.499")), tolerance());
  EXPECT_LE(relative_error(noise.pull(golden_.at("cotangent")), golden_.at("gradient")), tolerance());
  given.sizes = golden_.at("sizes");
  EXPECT_LE(relative_error(prior->denoiser->noise(z, level_at(499), given), golden_.at("sizes.8.0.499")),
            tolerance());
}

INSTANTIATE_TEST_SUITE_P(Types, DistilledUNet, ::testing::Values(at::kFloat, at::kDouble));

TEST(GuidanceEmbedding, HasTheBitsOfThePublishedPipelines) {
  const auto golden = test::read_all(test::data("lcm.safetensors"));
  const UNetConfig config = read_unet_config(test::data("lcm") / "unet" / "config.json");
  const UNet unet(config, at::TensorOptions(at::kFloat));
  EXPECT_TRUE(at::equal(unet.guidance_embedding(7.5), golden.at("embedding.7.5")));
  EXPECT_TRUE(at::equal(unet.guidance_embedding(1.0), golden.at("embedding.1.0")));
}

}  // namespace
}  // namespace dwgf
