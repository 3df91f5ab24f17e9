/// The three ways to the decoder's gradient give the same image and the same pull-back, each within what its
/// header promises.
#include "prior/models/decoder_gradient.hpp"

#include <cstdint>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/files/weights.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

std::shared_ptr<Autoencoder> autoencoder(const AutoencoderConfig& config, at::ScalarType type) {
  auto network = std::make_shared<Autoencoder>(AutoencoderParts{config, false}, at::TensorOptions(type));
  at::manual_seed(17);
  for (auto& item : network->named_parameters()) {
    at::Tensor& p = item.value();
    const double deviation = p.dim() > 1 ? 1.0 / std::sqrt(static_cast<double>(p[0].numel())) : 0.1;
    p.copy_(at::randn(p.sizes(), at::kDouble) * deviation +
            (p.dim() == 1 && item.key().find("norm") != std::string::npos && item.key().ends_with("weight")
                 ? 1.0
                 : 0.0));
  }
  return network;
}

const AutoencoderConfig kSmall{
    .image_channels = 3, .latent_channels = 4, .channels = {8, 16, 16}, .layers = 1, .norm_groups = 4};

struct Both {
  at::Tensor x, gradient;
};

Both differentiated(const Autoencoder& network, const at::Tensor& z, const at::Tensor& cotangent,
                    DecoderGradient how, std::int64_t tile = kTile) {
  const auto [x, pull_back] = differentiate_decoder(network.decoder_stages(), z, how, tile);
  EXPECT_FALSE(x.requires_grad());
  const at::Tensor gradient = pull_back(cotangent);
  EXPECT_THROW((void)pull_back(cotangent), InternalError);
  return {x, gradient};
}

TEST(DecoderGradient, RecomputationGivesTheSameBits) {
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const auto network = autoencoder(kSmall, type);
    for (const std::int64_t width : {8, 5}) {
      const at::Tensor z = at::randn({2, 4, 8, width}).to(type),
                       cotangent = at::randn({2, 3, 32, 4 * width}).to(type);
      const Both plain = differentiated(*network, z, cotangent, DecoderGradient::plain);
      const Both again = differentiated(*network, z, cotangent, DecoderGradient::recompute);
      EXPECT_TRUE(at::equal(plain.x, again.x)) << type;
      EXPECT_TRUE(at::equal(plain.gradient, again.gradient)) << type;
      EXPECT_TRUE(at::equal(plain.x, network->decode(z))) << type;
    }
  }
}

TEST(DecoderGradient, WorksInInferenceModeToo) {
  const auto network = autoencoder(kSmall, at::kFloat);
  const at::Tensor z = at::randn({1, 4, 8, 8}), cotangent = at::randn({1, 3, 32, 32});
  for (const auto how : {DecoderGradient::plain, DecoderGradient::recompute, DecoderGradient::tiled}) {
    const Both outside = differentiated(*network, z, cotangent, how, 4);
    const c10::InferenceMode inference;
    const Both inside = differentiated(*network, z * 1.0, cotangent * 1.0, how, 4);
    EXPECT_TRUE(at::equal(outside.x, inside.x));
    EXPECT_TRUE(at::equal(outside.gradient, inside.gradient));
  }
}

/// With the norms' statistics held fixed the decoder is local, and tiles are exact: what every tile sees is
/// the whole image.
TEST(DecoderGradient, TilesAreThoseOfTheWholeToRounding) {
  const auto network = autoencoder(kSmall, at::kDouble);
  const auto& stages = network->decoder_stages();
  EXPECT_EQ(stages.factor, 4);
  EXPECT_EQ(stages.reach, 8);  // 2 * 2 (1 + 1/2 + 1/4) from blocks, 1/2 + 1/4 from upsampling, 1/4 at the end
  for (const auto& [height, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{{24, 20}, {9, 31}}) {
    const at::Tensor z = at::randn({2, 4, height, width}, at::kDouble);
    const at::Tensor cotangent = at::randn({2, 3, 4 * height, 4 * width}, at::kDouble);
    const Both whole = differentiated(*network, z, cotangent, DecoderGradient::tiled, 1000);
    for (const std::int64_t tile : {4, 7, 16}) {
      const Both tiled = differentiated(*network, z, cotangent, DecoderGradient::tiled, tile);
      EXPECT_LE(relative_error(tiled.x, network->decode(z)), 1e-12);
      EXPECT_LE(relative_error(tiled.gradient, whole.gradient), 1e-11) << "a seam at tiles of " << tile;
    }
  }
}

double relative_distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

/// The gradient of tiles leaves out what passes through the norms' statistics.
TEST(DecoderGradient, TilesStayWithinTheirTolerance) {
  const auto network = autoencoder(kSmall, at::kDouble);
  const at::Tensor z = at::randn({1, 4, 32, 32}, at::kDouble);
  const at::Tensor noise = at::randn({1, 3, 128, 128}, at::kDouble);
  const auto error = [&](const at::Tensor& cotangent) {
    return relative_distance(differentiated(*network, z, cotangent, DecoderGradient::tiled, 16).gradient,
                             differentiated(*network, z, cotangent, DecoderGradient::plain).gradient);
  };
  const double of_noise = error(noise), of_shift = error(at::ones_like(noise));
  EXPECT_LE(of_noise, 0.1);  // a norm's group has 16384 values at most here; measured: 0.052
  EXPECT_GT(of_noise, 1e-6) << "tiles would be exact";
  EXPECT_GT(of_shift, of_noise);
}

TEST(DecoderGradient, IsChosenBySizeAndByName) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const at::Tensor z = golden.at("z").to(at::kFloat).narrow(0, 0, 1),
                   cotangent = golden.at("cotangent").to(at::kFloat);
  const auto gradient = [&](std::optional<DecoderGradient> how) {
    const auto prior = load_stable_diffusion(test::data("sd1").string(), {.decoder_gradient = how});
    return prior->decode_with_pull_back(z).pull_back(cotangent);
  };
  EXPECT_TRUE(at::equal(gradient(std::nullopt), gradient(DecoderGradient::plain)));
  EXPECT_TRUE(at::equal(gradient(std::nullopt), gradient(DecoderGradient::recompute)));
  EXPECT_FALSE(at::equal(gradient(std::nullopt), gradient(DecoderGradient::tiled)));
}

}  // namespace
}  // namespace dwgf
