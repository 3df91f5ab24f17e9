// AutoencoderTiny against diffusers (tools/make_few_step_golden.py), in place of a prior's own autoencoder.
#include "prior/models/tiny_autoencoder.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/families/codec_files.hpp"
#include "prior/models/decoder_vjp.hpp"
#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::relative_error;

struct Case {
  const char* name;
  const char* folder;
  at::ScalarType type;
  double tolerance() const { return type == at::kDouble ? 1e-11 : 1e-5; }
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name << (c.type == at::kDouble ? " in float64" : " in float32");
}

class TinyAutoencoderParity : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    golden_ = test::read_all(test::data(std::string(GetParam().name) + ".safetensors"));
    for (auto& [name, tensor] : golden_) {
      if (tensor.scalar_type() == at::kHalf) tensor = tensor.to(GetParam().type);  // inputs
    }
    PriorOptions options;
    options.dtype = GetParam().type;
    const AutoencoderFolder files(test::data(GetParam().folder), options, false);
    FileHashes hashes;
    codec_ = files.load(Weights(files.folder(), "diffusion_pytorch_model"), hashes,
                        std::make_shared<Fp32Retries>());
  }
  const at::Tensor& golden(const std::string& name) const { return golden_.at(name); }

  std::map<std::string, at::Tensor> golden_;
  std::shared_ptr<const Codec> codec_;
};

TEST_P(TinyAutoencoderParity, Decodes) {
  EXPECT_LE(relative_error(codec_->decode(golden("z")), golden("decoded")), GetParam().tolerance());
}

TEST_P(TinyAutoencoderParity, PullsACotangentBack) {
  const Vjp decoded = codec_->decode_vjp(golden("z"));
  EXPECT_LE(relative_error(decoded.value, golden("decoded")), GetParam().tolerance());
  EXPECT_LE(relative_error(decoded.pull(golden("cotangent")), golden("gradient")), GetParam().tolerance());
}

TEST_P(TinyAutoencoderParity, EncodesToAPoint) {
  const LatentDistribution code = codec_->encode(golden("x"));
  EXPECT_LE(relative_error(code.mean, golden("code")), GetParam().tolerance());
  EXPECT_TRUE(at::equal(code.std, at::zeros_like(code.mean)));
}

INSTANTIATE_TEST_SUITE_P(Models, TinyAutoencoderParity,
                         ::testing::Values(Case{"taesd", "taesd", at::kFloat},
                                           Case{"taesd", "taesd", at::kDouble},
                                           Case{"taesd3", "taesd3/vae", at::kFloat},
                                           Case{"taesd3", "taesd3/vae", at::kDouble}));

TEST(TinyAutoencoder, GivesTheSameGradientWithRecomputation) {
  const TinyAutoencoderConfig config = read_tiny_autoencoder_config(test::data("taesd") / "config.json");
  FileHashes hashes;
  const auto network =
      load_model<TinyAutoencoder>(config, Weights(test::data("taesd"), "diffusion_pytorch_model"),
                                  tiny_names(config), at::TensorOptions(at::kFloat), hashes);
  const auto golden = test::read_all(test::data("taesd.safetensors"));
  const at::Tensor z = golden.at("z").to(at::kFloat), c = golden.at("cotangent").to(at::kFloat);
  const auto pulled = [&](DecoderGradient how) {
    return decoder_vjp(network->decoder_stages(), z, how).pull(c);
  };
  EXPECT_TRUE(at::equal(pulled(DecoderGradient::plain), pulled(DecoderGradient::recompute)));
}

TEST(TinyAutoencoder, TakesThePlaceOfThePriorsOwn) {
  const auto own = load_stable_diffusion(test::data("lcm"), {});
  const auto tiny = load_stable_diffusion(test::data("lcm"), {.codec = test::data("taesd")});
  const auto both =
      load_stable_diffusion(test::data("lcm"), {.codec = test::data("taesd"), .keeps_own_codec = true});
  const at::Tensor z = test::read_all(test::data("taesd.safetensors")).at("z").to(at::kFloat);
  EXPECT_GT(relative_error(tiny->codec->decode(z), own->codec->decode(z)), 0.1);
  EXPECT_TRUE(at::equal(both->codec->decode(z), tiny->codec->decode(z)));
  EXPECT_TRUE(at::equal(both->full_codec->decode(z), own->codec->decode(z)));
  EXPECT_EQ(tiny->full_codec, nullptr);
  EXPECT_NE(tiny->sha256, own->sha256);
  EXPECT_EQ(tiny->sha256, both->sha256);
  EXPECT_NE(tiny->step_bytes(1, 64, 64), own->step_bytes(1, 64, 64));
}

TEST(TinyAutoencoder, OfOtherLatentsIsRefused) {
  const std::string message = test::message_of<DataError>(
      [] { load_stable_diffusion(test::data("lcm"), {.codec = test::data("taesd3")}); });
  EXPECT_NE(message.find("16 channels"), std::string::npos) << message;
  EXPECT_NE(message.find("taesd3/vae"), std::string::npos) << message;
}

TEST(TinyAutoencoder, RefusesWhatItDoesNotSupport) {
  const nlohmann::json good = nlohmann::json::parse(test::read_bytes(test::data("taesd") / "config.json"));
  const std::vector<std::pair<std::string, nlohmann::json>> refused = {
      {"act_fn", "mish"},
      {"upsample_fn", "bilinear"},
      {"upsampling_scaling_factor", 4},
      {"out_channels", 4},
      {"latent_channels", 0},
      {"num_encoder_blocks", {1, 3}},
      {"num_decoder_blocks", 3},
      {"num_decoder_blocks", {1, -1, 1}},
      {"decoder_block_out_channels", {8, 8, 16}},
      {"decoder_block_out_channels", {8, 8}},
      {"encoder_block_out_channels", {16, 16, 16}},
      {"scaling_factor", 0}};
  const test::TemporaryFolder folder;
  for (const auto& [key, value] : refused) {
    nlohmann::json changed = good;
    changed[key] = value;
    test::write_bytes(folder.path() / "config.json", changed.dump());
    const std::string message =
        test::message_of<DataError>([&] { read_tiny_autoencoder_config(folder.path() / "config.json"); });
    EXPECT_NE(message.find(key == "out_channels" ? "in_channels" : key), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace dwgf
