// The last steps with the prior's own autoencoder, where a smaller one takes its place before.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

namespace dwgf {
namespace {

constexpr std::int64_t kSteps = 4;

std::unique_ptr<Prior> loaded(const std::string& codec) {
  const std::string folder = std::string(DWGF_TEST_DATA) + "/prior/";
  PriorOptions options;
  if (!codec.empty()) options.codec = folder + codec;
  options.keeps_own_codec = true;
  return load_stable_diffusion(folder + "turbo", options);
}

struct Solved {
  at::Tensor z, x;
};

Solved solved(const Prior& prior, std::int64_t polish) {
  const ImageShape shape{3, 16, 16};
  const auto forward = make_operator("mean:4", {shape, 1, 3});
  const auto noise = make_noise_model("gaussian", 0.05, *forward);
  const at::Tensor y =
      measure(*forward, *noise, at::linspace(-1, 1, 768, at::kFloat).view({3, 16, 16}), 1, 3);
  FlowOptions options;
  options.particles = options.micro_batch = 2;
  options.grid = kSteps + 1;
  options.polish = polish;
  SelfCollective self;
  const Solution solution = solve({prior, *forward, y, shape, 3, noise.get()}, options, self);
  const ParticleBatch& batch = solution.state.batches.front();
  return {batch.z, restored_images(prior, batch)};
}

TEST(Polish, OfAllStepsIsTheOwnAutoencoders) {
  const auto own = loaded(""), both = loaded("taesd");
  const Solved expected = solved(*own, 0), found = solved(*both, kSteps);
  EXPECT_TRUE(at::equal(found.z, expected.z));
  EXPECT_TRUE(at::equal(found.x, expected.x));
}

TEST(Polish, ChangesTheLastStepsAlone) {
  const auto both = loaded("taesd");
  Prior tiny = *both;
  tiny.full_codec = nullptr;
  const Solved unpolished = solved(tiny, 0);
  EXPECT_TRUE(at::equal(solved(*both, 0).z, unpolished.z));
  const Solved last = solved(*both, 1), all = solved(*both, kSteps);
  EXPECT_FALSE(at::equal(last.z, unpolished.z));
  EXPECT_FALSE(at::equal(last.z, all.z));
  EXPECT_TRUE(at::equal(last.x, both->full_codec->decode(last.z)));
}

TEST(Polish, NeedsTwoAutoencoders) {
  EXPECT_THROW(solved(*loaded(""), 1), UsageError);
}

}  // namespace
}  // namespace dwgf
