// Times, levels and whole samplings in few steps against diffusers (tools/make_few_step_golden.py).
#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/pixel_diffusion.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/few_step_sampling.hpp"
#include "prior/few_step_schedule.hpp"
#include "prior/files/scheduler_config.hpp"
#include "prior/flow_matching_course.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;
namespace fs = std::filesystem;
using Json = nlohmann::json;

const FewStepSchedule& few_step_schedule(const Prior& prior) {
  return dynamic_cast<const FewStepSchedule&>(*prior.path);
}

std::map<std::string, at::Tensor> few_steps_golden() {
  auto golden = test::read_all(test::data("few_steps.safetensors"));
  for (auto& [name, tensor] : golden) tensor = tensor.to(at::kDouble);
  return golden;
}

/// A directory of tests/data with another scheduler and another kind of prediction.
class Directory {
 public:
  Directory(const std::string& like, const fs::path& scheduler, const std::string& prediction) {
    fs::copy(test::data(like), folder_.path(), fs::copy_options::recursive);
    Json config = Json::parse(test::read_bytes(scheduler));
    config["prediction_type"] = prediction;
    test::write_bytes(folder_.path() / "scheduler" / "scheduler_config.json", config.dump());
  }
  std::unique_ptr<Prior> load(PriorOptions options) const {
    options.dtype = at::kDouble;
    return load_stable_diffusion(folder_.path(), options);
  }

 private:
  test::TemporaryFolder folder_;
};

fs::path scheduler_file(const std::string& sampler) {
  return sampler == "lcm" ? test::data("lcm") / "scheduler" / "scheduler_config.json"
                          : test::data("lcm") / (sampler + ".json");
}

class FewStepSampling : public ::testing::TestWithParam<const char*> {
 protected:
  std::map<std::string, at::Tensor> golden_ = few_steps_golden();
  std::map<std::string, at::Tensor> inputs_ = test::read_all(test::data("lcm.safetensors"));

  at::Tensor sampled(const Prior& prior, std::int64_t steps) const {
    return sample_few_steps(prior, prior.few_steps->course(steps),
                            prior.few_steps->first_noise * golden_.at("start"),
                            [&](std::size_t k) { return golden_.at("noise")[static_cast<std::int64_t>(k)]; });
  }
  at::Tensor input(const char* name) const { return inputs_.at(name).to(at::kDouble); }
  void expect_as_published(const Prior& prior, const std::string& name, std::int64_t steps) const {
    EXPECT_LE(relative_error(sampled(prior, steps), golden_.at(name + "." + std::to_string(steps))), 1e-9)
        << name << " in " << steps;
  }
};

TEST_P(FewStepSampling, EqualsTheSchedulersLoop) {
  const std::string sampler = GetParam();
  const bool told = sampler == "lcm" || sampler == "tcd";
  for (const char* prediction : {"epsilon", "sample", "v_prediction"}) {
    const Directory directory(told ? "lcm" : "turbo", scheduler_file(sampler), prediction);
    const auto prior = directory.load({.context = input("context")});
    if (told) prior->conditioning.guidance = 7.5;
    for (const std::int64_t steps : {1, 2, 4, 8}) {
      const std::string name = sampler + "." + prediction;
      if (golden_.contains(name + "." + std::to_string(steps))) expect_as_published(*prior, name, steps);
    }
  }
}

TEST_P(FewStepSampling, HasTheSchedulersTimesAndLevels) {
  const std::string sampler = GetParam();
  if (sampler == "ancestral") return;  // euler's
  const Directory directory("turbo", scheduler_file(sampler), "epsilon");
  const auto prior = directory.load({});
  for (const std::int64_t steps : {1, 2, 4, 8, 50}) {
    const std::string key = sampler + "." + std::to_string(steps);
    const at::Tensor times = golden_.at("times." + key), levels = golden_.at("levels." + key);
    const auto found = few_step_schedule(*prior).times(steps);
    const std::vector<FewStep> course = prior->few_steps->course(steps);
    ASSERT_EQ(found.size(), static_cast<std::size_t>(steps));
    for (std::int64_t k = 0; k < steps; ++k) {
      const Level& at = course[static_cast<std::size_t>(k)].at;
      EXPECT_EQ(static_cast<double>(found[static_cast<std::size_t>(k)]), times[k].item<double>()) << key;
      EXPECT_EQ(at.time, times[k].item<double>()) << key;
      EXPECT_NEAR(at.signal, levels[k][0].item<double>(), 1e-15) << key;
      EXPECT_NEAR(at.noise, levels[k][1].item<double>(), 1e-15) << key;
    }
    // What a method that takes as many steps is shown.
    const std::vector<Level> grid = prior->path->levels(steps + 1);
    ASSERT_EQ(grid.size(), course.size());
    for (std::size_t k = 0; k < grid.size(); ++k) EXPECT_EQ(grid[k], course[k].at) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Samplers, FewStepSampling, ::testing::Values("lcm", "tcd", "euler", "ancestral"),
                         [](const auto& sampler) { return std::string(sampler.param); });

class FewStepGuidance : public FewStepSampling {};

TEST_F(FewStepGuidance, OfTwoContextsEqualsThePipelinesLoop) {
  const auto prior =
      load_stable_diffusion(test::data("turbo"), {.dtype = at::kDouble, .context = input("context")});
  prior->conditioning.guidance = 3.0;
  prior->conditioning.unconditional =
      std::make_shared<Conditioning>(Conditioning{.tokens = input("negative")});
  for (const std::int64_t steps : {1, 4}) expect_as_published(*prior, "euler.guided", steps);
}

/// A network of noise whose output is taken for the velocity of flow matching.
class Velocity final : public Denoiser {
 public:
  explicit Velocity(std::shared_ptr<const Denoiser> network) : network_(std::move(network)) {}
  at::Tensor noise(const at::Tensor& z, const Level& level, const Conditioning& given) const override {
    return z + level.signal * network_->noise(z, level, given);
  }
  Vjp noise_vjp(const at::Tensor&, const Level&, const Conditioning&) const override { return {}; }

 private:
  std::shared_ptr<const Denoiser> network_;
};

TEST_F(FewStepGuidance, OfAFlowEqualsTheSchedulersLoop) {
  const auto prior =
      load_stable_diffusion(test::data("turbo"), {.dtype = at::kDouble, .context = input("context")});
  prior->denoiser = std::make_shared<Velocity>(prior->denoiser);
  prior->few_steps = FewSteps{.course = [path = FlowMatchingPath({.shift = 3.0})](std::int64_t steps) {
    return flow_matching_course(path, steps);
  }};
  for (const std::int64_t steps : {1, 2, 4, 8}) expect_as_published(*prior, "flow", steps);
  prior->conditioning.guidance = 3.0;
  prior->conditioning.unconditional =
      std::make_shared<Conditioning>(Conditioning{.tokens = input("negative")});
  for (const std::int64_t steps : {1, 4}) expect_as_published(*prior, "flow.guided", steps);
}

TEST(FewStepSchedule, CallsTheDenoiserAtAllowedTimesAlone) {
  const Directory directory("turbo", scheduler_file("lcm"), "epsilon");
  const auto prior = directory.load({});
  std::vector<Level> shown;
  for (const std::int64_t grid : {2, 5, 40, 60, 999}) {
    for (const Spacing spacing : {Spacing::linear, Spacing::log}) {
      const auto levels = prior->path->levels(grid, spacing);
      EXPECT_EQ(levels.size(), static_cast<std::size_t>(grid - 1));
      shown.insert(shown.end(), levels.begin(), levels.end());
    }
  }
  shown.push_back(prior->path->first());
  shown.push_back(prior->path->last());
  shown.push_back(prior->path->nearly_clean());
  shown.push_back(prior->path->nearest(0.3));
  for (const Level& level : shown) EXPECT_EQ(static_cast<std::int64_t>(level.time) % 20, 19) << level.time;
}

TEST(FewStepSchedule, TakesTheTimesThatAreChosen) {
  const auto prior =
      load_stable_diffusion(test::data("sd1"), {.dtype = at::kDouble, .times = {999, 749, 499, 249}});
  EXPECT_EQ(prior->few_steps->steps, 4);
  const auto levels = prior->path->levels(5);
  ASSERT_EQ(levels.size(), 4u);
  for (std::size_t k = 0; k < 4; ++k) EXPECT_EQ(levels[k].time, 999.0 - 250.0 * static_cast<double>(k));
  EXPECT_EQ(prior->path->last().time, 249.0);
  const auto pixels = load_pixel_diffusion(test::data("ddpm"), {.times = {999, 499}});
  EXPECT_EQ(pixels->path->levels(3)[1].time, 499.0);
}

TEST(FewStepSchedule, RefusesTimesThatAreNone) {
  for (const std::vector<std::int64_t>& times :
       {std::vector<std::int64_t>{1000}, {500, 500}, {249, 499}, {-1}}) {
    const std::string message =
        test::message_of<DataError>([&] { load_stable_diffusion(test::data("sd1"), {.times = times}); });
    EXPECT_NE(message.find("999"), std::string::npos) << message;
  }
  const auto prior = load_stable_diffusion(test::data("lcm"), {});
  EXPECT_NE(test::message_of<UsageError>([&] { prior->few_steps->course(51); }).find("1 ... 50"),
            std::string::npos);
  EXPECT_NE(test::message_of<UsageError>([&] { prior->few_steps->course(0); }).find("1 ... 50"),
            std::string::npos);
}

TEST(FewStepConfig, IsReadFromTheScheduler) {
  const test::TemporaryFolder folder;
  const auto read = [&](const Json& config) {
    test::write_bytes(folder.path() / "scheduler_config.json", config.dump());
    return read_few_step_config(folder.path() / "scheduler_config.json");
  };
  EXPECT_EQ(read({{"_class_name", "LCMScheduler"}})->original_steps, 50);
  EXPECT_EQ(read({{"_class_name", "TCDScheduler"}, {"original_inference_steps", 20}})->original_steps, 20);
  EXPECT_FALSE(read({{"_class_name", "EulerDiscreteScheduler"}}).has_value());
  EXPECT_FALSE(read({{"_class_name", "DDIMScheduler"}, {"timestep_spacing", "trailing"}}).has_value());
  EXPECT_EQ(read({{"_class_name", "EulerDiscreteScheduler"}, {"timestep_spacing", "trailing"}})->sampler,
            FewStepSampler::euler);
  for (const Json& bad : {Json{{"_class_name", "LCMScheduler"}, {"original_inference_steps", 1001}},
                          Json{{"_class_name", "LCMScheduler"}, {"timestep_scaling", 0}},
                          Json{{"_class_name", "TCDScheduler"}, {"clip_sample", true}},
                          Json{{"_class_name", "LCMScheduler"}, {"thresholding", true}},
                          Json{{"_class_name", "EulerDiscreteScheduler"}, {"timestep_spacing", "uneven"}}})
    EXPECT_THROW(read(bad), DataError) << bad;
}

}  // namespace
}  // namespace dwgf
