/// The identity of results rests on this: a sample's bits do not depend on what else is in its batch.
#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/Parallel.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/photographs.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// A sample's result must not depend on its place in a batch nor on its neighbours: bits, not tolerances.
/// (Its dependence on the size of the batch is known, and why a micro-batch always has the same.)
void expect_independent_samples(const std::function<at::Tensor(const at::Tensor&)>& f,
                                const at::Tensor& samples) {
  const auto count = samples.size(0);
  const at::Tensor reference = f(samples);
  const at::Tensor reversed = f(samples.flip(0)).flip(0);
  EXPECT_TRUE(at::equal(reference, reversed)) << "order matters";
  const at::Tensor rotated = f(samples.roll(1, 0)).roll(-1, 0);
  EXPECT_TRUE(at::equal(reference, rotated)) << "place matters";
  for (std::int64_t i = 0; i < count; ++i) {
    at::Tensor others = samples * 3 + 1;
    others[i] = samples[i];
    EXPECT_TRUE(at::equal(reference[i], f(others)[i])) << "neighbours matter to sample " << i;
    EXPECT_TRUE(at::equal(reference[i], f(samples.narrow(0, i, 1).expand_as(samples))[count - 1 - i]))
        << "padding matters";
  }
}

struct OneThread {
  int before = at::get_num_threads();
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before); }
};

void expect_independent_everywhere(const Prior& prior, std::int64_t count, std::int64_t latent_size) {
  const auto type = prior.options.dtype().toScalarType();
  const auto& shape = prior.geometry;
  at::manual_seed(3);
  const at::Tensor z = at::randn({count, shape.latent_channels, latent_size, latent_size}, type);
  const at::Tensor x =
      at::randn({count, shape.image_channels, shape.factor * latent_size, shape.factor * latent_size}, type);
  {
    SCOPED_TRACE("U-Net");
    expect_independent_samples(
        [&](const at::Tensor& in) { return prior.noise(in, test::level_at(prior, 400)); }, z);
  }
  {
    SCOPED_TRACE("decoder");
    expect_independent_samples([&](const at::Tensor& in) { return prior.codec->decode(in); }, z);
  }
  {
    SCOPED_TRACE("encoder");
    expect_independent_samples([&](const at::Tensor& in) { return prior.codec->encode(in).mean; }, x);
  }
  {
    SCOPED_TRACE("pull-back");
    const auto pull = [&](const at::Tensor& in) {
      const auto decoded = prior.codec->decode_vjp(in);
      return decoded.pull(decoded.value);
    };
    expect_independent_samples(pull, z);
  }
}

TEST(StableDiffusion, ASampleDependsOnNeitherPlaceNorNeighbours) {
  const OneThread one;
  for (const auto type : {at::kFloat, at::kDouble}) {
    const auto golden = test::read_all(test::data("sd1.safetensors"));
    for (const std::int64_t count : {1, 4, 8}) {
      SCOPED_TRACE(formatted("{} batch of {}", type, count));
      expect_independent_everywhere(
          *load_stable_diffusion(test::data("sd1"), {.dtype = type, .context = golden.at("context")}), count,
          8);
      expect_independent_everywhere(*load_stable_diffusion(test::data("sd2"), {.dtype = type}), count, 8);
    }
  }
}

TEST(StableDiffusion, ASampleDependsOnNeitherPlaceNorNeighboursInHalfPrecision) {
  const OneThread one;
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    SCOPED_TRACE(type);
    expect_independent_everywhere(
        *load_stable_diffusion(test::data("sd2").string(), {.unet_type = type, .autoencoder_type = type}), 3,
        8);
  }
}

TEST(Photographs, ASampleDependsOnNeitherPlaceNorNeighbours) {
  const OneThread one;
  for (const auto type : {at::kFloat, at::kDouble}) {
    for (const std::int64_t count : {1, 4, 8}) {
      SCOPED_TRACE(formatted("{} batch of {}", type, count));
      expect_independent_everywhere(*load_photographs(test::data("photo"), {.dtype = type}), count, 8);
    }
  }
}

TEST(BuiltInPrior, LoadsAndDecodesToFiniteValues) {
  const fs::path directory = fs::path(DWGF_SOURCE_DIR) / "configs" / "priors" / "fashion";
  if (!fs::exists(directory / "unet" / "diffusion_pytorch_model.safetensors"))
    GTEST_SKIP() << "not there yet";
  const OneThread one;
  for (const auto type : {at::kFloat, at::kDouble}) {
    const auto prior = load_stable_diffusion(directory.string(), {.dtype = type});
    at::manual_seed(1);
    const at::Tensor z = at::randn({2, prior->geometry.latent_channels, 8, 8}, type);
    const at::Tensor x = prior->codec->decode(z);
    EXPECT_EQ(x.sizes(), (std::vector<std::int64_t>{2, 1, 32, 32}));
    EXPECT_TRUE(x.isfinite().all().item<bool>());
    EXPECT_TRUE(prior->noise(z, test::level_at(*prior, 999)).isfinite().all().item<bool>());
    EXPECT_TRUE(prior->codec->encode(x).std.gt(0).all().item<bool>());
    expect_independent_everywhere(*prior, type == at::kFloat ? 8 : 2, 8);  // the slow one smaller
  }
}

}  // namespace
}  // namespace dwgf
