/// Both ways to the decoder's vector-Jacobian product give the same bits.
#include <cstdint>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/files/weights.hpp"
#include "prior/models/autoencoder.hpp"
#include "prior/models/decoder_vjp.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

std::shared_ptr<Autoencoder> autoencoder(const AutoencoderConfig& config, at::ScalarType type) {
  auto network = std::make_shared<Autoencoder>(config, at::TensorOptions(type));
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

Both image_and_gradient(const Autoencoder& network, const at::Tensor& z, const at::Tensor& cotangent,
                        DecoderGradient how) {
  const auto [x, pull] = decoder_vjp(network.decoder_stages(), z, how);
  EXPECT_FALSE(x.requires_grad());
  const at::Tensor gradient = pull(cotangent);
  EXPECT_THROW((void)pull(cotangent), InternalError);
  return {x, gradient};
}

TEST(DecoderGradient, RecomputationGivesTheSameBits) {
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16}) {
    const auto network = autoencoder(kSmall, type);
    for (const std::int64_t width : {8, 5}) {
      const at::Tensor z = at::randn({2, 4, 8, width}).to(type),
                       cotangent = at::randn({2, 3, 32, 4 * width}).to(type);
      const Both plain = image_and_gradient(*network, z, cotangent, DecoderGradient::plain);
      const Both again = image_and_gradient(*network, z, cotangent, DecoderGradient::recompute);
      EXPECT_TRUE(at::equal(plain.x, again.x)) << type;
      EXPECT_TRUE(at::equal(plain.gradient, again.gradient)) << type;
      EXPECT_TRUE(at::equal(plain.x, network->decode(z))) << type;
    }
  }
}

TEST(DecoderGradient, WorksInInferenceModeToo) {
  const auto network = autoencoder(kSmall, at::kFloat);
  const at::Tensor z = at::randn({1, 4, 8, 8}), cotangent = at::randn({1, 3, 32, 32});
  for (const auto how : {DecoderGradient::plain, DecoderGradient::recompute}) {
    const Both outside = image_and_gradient(*network, z, cotangent, how);
    const c10::InferenceMode inference;
    const Both inside = image_and_gradient(*network, z * 1.0, cotangent * 1.0, how);
    EXPECT_TRUE(at::equal(outside.x, inside.x));
    EXPECT_TRUE(at::equal(outside.gradient, inside.gradient));
  }
}

TEST(DecoderGradient, IsChosenBySizeAndByName) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const at::Tensor z = golden.at("z").to(at::kFloat).narrow(0, 0, 1),
                   cotangent = golden.at("cotangent").to(at::kFloat);
  const auto gradient = [&](std::optional<DecoderGradient> how) {
    const auto prior = load_stable_diffusion(test::data("sd1").string(), {.decoder_gradient = how});
    return prior->codec->decode_vjp(z).pull(cotangent);
  };
  EXPECT_TRUE(at::equal(gradient(std::nullopt), gradient(DecoderGradient::plain)));
  EXPECT_TRUE(at::equal(gradient(std::nullopt), gradient(DecoderGradient::recompute)));
}

}  // namespace
}  // namespace dwgf
