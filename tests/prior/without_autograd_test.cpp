/// The products that the layers form by hand: Kernels::portable, which every device but a CPU takes, is run
/// on the CPU here, beside Kernels::host, and both against autograd.
#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/SequenceNumber.h>
#include <c10/core/GradMode.h>

#include <dwgf/base/error.hpp>

#include "prior/files/weights.hpp"
#include "prior/models/autoencoder.hpp"
#include "prior/models/decoder_vjp.hpp"
#include "prior/models/unet.hpp"
#include "prior/nn/attention_vjp.hpp"
#include "prior/nn/autograd_vjp.hpp"
#include "prior/nn/blocks.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

constexpr double kExact = 1e-12;  // of float64
constexpr double kFloatTolerance = 5e-6;

LayerOptions with(Kernels kernels, at::ScalarType type) {
  return {at::TensorOptions(type), kernels};
}

/// Random values for a module's parameters, the same for every module of its kind.
void randomise(torch::nn::Module& module) {
  at::manual_seed(3);
  for (auto& item : module.named_parameters()) {
    const at::Tensor& p = item.value();
    const double deviation = p.dim() > 1 ? 1.0 / std::sqrt(static_cast<double>(p[0].numel())) : 0.2;
    const bool scale = item.key().ends_with("weight") && p.dim() == 1;
    p.copy_(at::randn(p.sizes(), at::kDouble) * deviation + (scale ? 1.0 : 0.0));
  }
}

at::Tensor by_autograd(const std::function<at::Tensor(const at::Tensor&)>& f, const at::Tensor& x,
                       const at::Tensor& c) {
  return autograd_vjp(f, x).pull(c);
}

at::Tensor normals(at::IntArrayRef shape, at::ScalarType type) {
  return at::randn(shape, at::kDouble).to(type);
}

class AttentionVjpOfBoth : public ::testing::TestWithParam<Kernels> {};
INSTANTIATE_TEST_SUITE_P(Kernels, AttentionVjpOfBoth, ::testing::Values(Kernels::host, Kernels::portable));

TEST_P(AttentionVjpOfBoth, IsThatOfAutograd) {
  at::manual_seed(21);
  for (const auto& shape :
       std::vector<std::vector<std::int64_t>>{{2, 1, 49, 16}, {3, 4, 7, 5}, {1, 2, 1, 3}}) {
    const at::Tensor q = normals(shape, at::kDouble) * 2.0, k = normals(shape, at::kDouble),
                     v = normals(shape, at::kDouble), c = normals(shape, at::kDouble);
    const auto found = attention_vjp(q, k, v, c, GetParam());
    // Its definition, not LibTorch's fused kernels.
    const auto attention = [](const at::Tensor& a, const at::Tensor& b, const at::Tensor& d) {
      const double root = std::sqrt(static_cast<double>(a.size(3)));
      return at::matmul((at::matmul(a, b.transpose(2, 3)) / root).softmax(-1), d);
    };
    const auto of_q = [&](const at::Tensor& leaf) { return attention(leaf, k, v); };
    const auto of_k = [&](const at::Tensor& leaf) { return attention(q, leaf, v); };
    const auto of_v = [&](const at::Tensor& leaf) { return attention(q, k, leaf); };
    EXPECT_LE(relative_error(found.values, by_autograd(of_v, v, c)), kExact);
    if (shape[2] == 1) {  // one key: the weights are 1, whatever queries and keys
      EXPECT_LE(found.queries.abs().max().item<double>(), kExact);
      EXPECT_LE(found.keys.abs().max().item<double>(), kExact);
      continue;
    }
    EXPECT_LE(relative_error(found.queries, by_autograd(of_q, q, c)), kExact);
    EXPECT_LE(relative_error(found.keys, by_autograd(of_k, k, c)), kExact);
  }
}

TEST_P(AttentionVjpOfBoth, SumsInFloatWhereItsFactorsAreHalf) {
  at::manual_seed(22);
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    const std::vector<std::int64_t> shape{1, 1, 64, 32};
    const at::Tensor q = normals(shape, type) * 3.0, k = normals(shape, type), v = normals(shape, type),
                     c = normals(shape, type);
    const auto found = attention_vjp(q, k, v, c, GetParam());
    const auto exact = attention_vjp(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble),
                                     c.to(at::kDouble), Kernels::portable);
    const double tolerance = type == at::kBFloat16 ? 0.02 : 0.0025;
    EXPECT_EQ(found.queries.scalar_type(), type);
    EXPECT_LE(relative_error(found.queries, exact.queries), tolerance);
    EXPECT_LE(relative_error(found.keys, exact.keys), tolerance);
    EXPECT_LE(relative_error(found.values, exact.values), tolerance);
  }
}

TEST(AttentionVjp, TakesTheSamplesInPartsWhereTheyAreMany) {
  at::manual_seed(23);
  const std::vector<std::int64_t> shape{3, 2, 7, 5};
  const at::Tensor q = normals(shape, at::kDouble), k = normals(shape, at::kDouble),
                   v = normals(shape, at::kDouble), c = normals(shape, at::kDouble);
  const auto all = attention_vjp(q, k, v, c, Kernels::portable);
  for (const std::int64_t at_once : {1, 2 * 2 * 49}) {
    const auto parts = attention_vjp(q, k, v, c, Kernels::portable, at_once);
    EXPECT_LE(relative_error(parts.queries, all.queries), kExact);
    EXPECT_LE(relative_error(parts.keys, all.keys), kExact);
    EXPECT_LE(relative_error(parts.values, all.values), kExact);
  }
}

TEST(WithoutAutograd, AnAttentionOverAnImageHasAutogradsBitsOnACpu) {
  for (const std::int64_t heads : {1, 2}) {
    for (const std::int64_t batch : {1, 2}) {
      for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
        SCOPED_TRACE(formatted("{} heads, {} samples, type {}", heads, batch, static_cast<int>(type)));
        ImageAttention block({.channels = 16, .heads = heads, .groups = 4}, with(Kernels::host, type));
        randomise(block);
        const at::Tensor x = in_network_format(normals({batch, 16, 9, 7}, type)),
                         c = in_network_format(normals({batch, 16, 9, 7}, type));
        const auto f = [&](const at::Tensor& leaf) { return block.forward(leaf); };
        EXPECT_TRUE(at::equal(block.vjp(x).pull(c), by_autograd(f, x, c)));
      }
    }
  }
}

TEST(WithoutAutograd, AnAttentionOverAnImageIsThatOfAutogradElsewhere) {
  for (const std::int64_t heads : {1, 2}) {
    ImageAttention block({.channels = 16, .heads = heads, .groups = 4}, with(Kernels::portable, at::kDouble));
    randomise(block);
    const at::Tensor x = normals({2, 16, 9, 7}, at::kDouble), c = normals({2, 16, 9, 7}, at::kDouble);
    const auto f = [&](const at::Tensor& leaf) { return block.forward(leaf); };
    EXPECT_LE(relative_error(block.vjp(x).pull(c), by_autograd(f, x, c)), kExact);
  }
}

TEST(WithoutAutograd, AConvolutionsProductIsAForwardConvolution) {
  at::manual_seed(24);
  for (const auto& [kernel, padding] : {std::pair<std::int64_t, std::int64_t>{3, 1}, {1, 0}, {2, 1}}) {
    Convolution layer(5, 7, kernel, 1, padding, with(Kernels::portable, at::kDouble));
    randomise(layer);
    const at::Tensor x = normals({2, 5, 6, 9}, at::kDouble), y = layer.forward(x);
    const at::Tensor c = at::randn_like(y);
    const auto f = [&](const at::Tensor& leaf) { return layer.forward(leaf); };
    const at::Tensor found = layer.vjp(c);
    EXPECT_LE(relative_error(found, by_autograd(f, x, c)), kExact);
    EXPECT_TRUE(at::equal(layer.vjp(c), found));
  }
}

TEST(WithoutAutograd, ANormWithItsActivationIsThatOfAutograd) {
  at::manual_seed(25);
  for (const auto kernels : {Kernels::host, Kernels::portable}) {
    for (const auto type : {at::kDouble, at::kFloat, at::kHalf}) {
      GroupNorm norm(4, 12, 1e-6, with(kernels, type)), exact(4, 12, 1e-6, with(kernels, at::kDouble));
      randomise(norm);
      randomise(exact);
      const at::Tensor x = normals({2, 12, 5, 7}, type) * 2.0 + 1.0, c = normals({2, 12, 5, 7}, type);
      const auto f = [&](const at::Tensor& leaf) { return at::silu(exact.forward(leaf)); };
      const auto [value, statistics] = norm.activated_with_statistics(x);
      EXPECT_TRUE(at::equal(value, norm.activated(x)));
      const double tolerance = type == at::kDouble ? kExact : type == at::kFloat ? kFloatTolerance : 0.005;
      const at::Tensor wide = x.to(at::kDouble), expected = by_autograd(f, wide, c.to(at::kDouble));
      EXPECT_LE(relative_error(norm.activated_vjp(c.clone(), x, statistics), expected), tolerance);
      EXPECT_LE(relative_error(norm.activated_vjp(c.clone(), x, statistics, c), expected + c.to(at::kDouble)),
                tolerance);
      if (kernels == Kernels::host) {  // with autograd's bits
        const auto own = [&](const at::Tensor& leaf) { return activate(norm.forward(leaf)); };
        EXPECT_TRUE(at::equal(norm.activated_vjp(c.clone(), x, statistics), by_autograd(own, x, c)));
      }
    }
  }
}

const AutoencoderConfig kSmall{
    .image_channels = 3, .latent_channels = 4, .channels = {8, 16, 16}, .layers = 1, .norm_groups = 4};

struct Decoded {
  at::Tensor image, gradient;
};

Decoded decoded(Kernels kernels, at::ScalarType type, DecoderGradient how) {
  Autoencoder network(kSmall, with(kernels, type));
  randomise(network);
  at::manual_seed(26);
  const at::Tensor z = normals({2, 4, 8, 5}, type), c = normals({2, 3, 32, 20}, type);
  const auto [image, pull] = decoder_vjp(network.decoder_stages(), z, how);
  return {image, pull(c)};
}

TEST(WithoutAutograd, BothKernelsOfTheDecoderAgree) {
  const Decoded host = decoded(Kernels::host, at::kFloat, DecoderGradient::plain),
                portable = decoded(Kernels::portable, at::kFloat, DecoderGradient::plain);
  EXPECT_LE(relative_error(portable.image, host.image), kFloatTolerance);
  EXPECT_LE(relative_error(portable.gradient, host.gradient), kFloatTolerance);
  EXPECT_FALSE(at::equal(portable.gradient, host.gradient)) << "one of the kernels was not asked";
  const Decoded wide_host = decoded(Kernels::host, at::kDouble, DecoderGradient::plain),
                wide = decoded(Kernels::portable, at::kDouble, DecoderGradient::plain);
  EXPECT_LE(relative_error(wide.image, wide_host.image), kExact);
  EXPECT_LE(relative_error(wide.gradient, wide_host.gradient), kExact);
}

TEST(WithoutAutograd, TheDecodersProductIsThatOfAutograd) {
  for (const auto kernels : {Kernels::host, Kernels::portable}) {
    Autoencoder network(kSmall, with(kernels, at::kDouble));
    randomise(network);
    at::manual_seed(26);
    const at::Tensor z = normals({2, 4, 8, 5}, at::kDouble), c = normals({2, 3, 32, 20}, at::kDouble);
    const auto f = [&](const at::Tensor& leaf) { return network.decode(leaf); };
    EXPECT_LE(
        relative_error(decoded(kernels, at::kDouble, DecoderGradient::plain).gradient, by_autograd(f, z, c)),
        kExact);
  }
}

TEST(WithoutAutograd, RecomputationGivesTheSameBitsWithEitherKernels) {
  for (const auto kernels : {Kernels::host, Kernels::portable}) {
    for (const auto type : {at::kFloat, at::kHalf}) {
      const Decoded plain = decoded(kernels, type, DecoderGradient::plain),
                    again = decoded(kernels, type, DecoderGradient::recompute);
      EXPECT_TRUE(at::equal(plain.image, again.image));
      EXPECT_TRUE(at::equal(plain.gradient, again.gradient));
    }
  }
}

TEST(WithoutAutograd, TheSameThreadsGiveTheSameBitsTwice) {
  const int before = at::get_num_threads();
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    for (const auto kernels : {Kernels::host, Kernels::portable}) {
      const Decoded once = decoded(kernels, at::kFloat, DecoderGradient::plain),
                    twice = decoded(kernels, at::kFloat, DecoderGradient::plain);
      EXPECT_TRUE(at::equal(once.image, twice.image));
      EXPECT_TRUE(at::equal(once.gradient, twice.gradient));
    }
  }
  at::set_num_threads(before);
}

TEST(WithoutAutograd, BothKernelsOfTheUNetAndTheEncoderAgree) {
  const auto golden = test::read_all(test::data("sd1.safetensors"));
  const at::NoGradGuard no_grad;
  const Weights unet_weights(test::data("sd1") / "unet", "diffusion_pytorch_model"),
      autoencoder_weights(test::data("sd1") / "vae", "diffusion_pytorch_model");
  FileHashes hashes;
  const auto predicted = [&](Kernels kernels, at::ScalarType type) {
    UNet network(read_unet_config(test::data("sd1") / "unet" / "config.json"), with(kernels, type));
    load_parameters(network, unet_weights, same_name, hashes);
    return network.forward(golden.at("z").to(type), 501.0, golden.at("context").to(type));
  };
  const auto encoded = [&](Kernels kernels, at::ScalarType type) {
    Autoencoder network(read_autoencoder_config(test::data("sd1") / "vae" / "config.json"),
                        with(kernels, type));
    load_parameters(network, autoencoder_weights, current_attention_name, hashes);
    return network.encode(golden.at("x").to(type)).mean;
  };
  for (const auto type : {at::kFloat, at::kDouble}) {
    const double tolerance = type == at::kDouble ? kExact : kFloatTolerance;
    EXPECT_LE(relative_error(predicted(Kernels::portable, type), predicted(Kernels::host, type)), tolerance);
    EXPECT_LE(relative_error(encoded(Kernels::portable, type), encoded(Kernels::host, type)), tolerance);
  }
}

/// Functions that autograd has recorded on this thread so far: each takes the next number.
std::uint64_t recorded_so_far() {
  return at::sequence_number::peek();
}

TEST(WithoutAutograd, TheDecodersProductRecordsNothing) {
  for (const bool may_record : {false, true}) {
    const c10::AutoGradMode gradients(may_record);
    for (const auto kernels : {Kernels::host, Kernels::portable}) {
      for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
        for (const auto how : {DecoderGradient::plain, DecoderGradient::recompute}) {
          const std::uint64_t before = recorded_so_far();
          decoded(kernels, type, how);
          EXPECT_EQ(recorded_so_far(), before);
        }
      }
    }
  }
  const std::uint64_t before = recorded_so_far();
  autograd_vjp([](const at::Tensor& leaf) { return leaf * 2.0; }, at::ones({1}));
  EXPECT_GT(recorded_so_far(), before) << "the count does not see autograd";
}

}  // namespace
}  // namespace dwgf
