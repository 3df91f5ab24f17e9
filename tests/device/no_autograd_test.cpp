// A step of the flow has no autograd in it, so that nothing adds in an order that autograd's kernels for GPUs
// leave to chance: on the CPU, and on the guarded device, which takes the branches of GPUs. Every function
// that autograd records takes the next number of its thread (at::sequence_number), which is watched here.
#include <ATen/SequenceNumber.h>
#include <c10/core/GradMode.h>

#include "catalogue/methods.hpp"
#include "device_cases.hpp"
#include "prior/models/autoencoder.hpp"
#include "prior/models/decoder_vjp.hpp"

namespace dwgf::test {
namespace {

/// How many functions autograd records while `f` runs, on this thread, where recording is allowed.
template <class F>
std::uint64_t recorded_by(const F& f) {
  const c10::AutoGradMode allowed(true);
  const std::uint64_t before = at::sequence_number::peek();
  f();
  return at::sequence_number::peek() - before;
}

std::uint64_t recorded_in_steps(const Prior& prior, const ForwardOperator& forward, const ImageShape& shape,
                                const DeviceCase& one) {
  const auto noise = make_noise_model("gaussian", 0.05, forward);
  const at::Tensor y =
      measure(forward, *noise, waves({shape.channels, shape.height, shape.width}, at::kFloat), 1, 3);
  const Problem problem{prior, forward, y, shape, 3, noise.get()};
  SelfCollective self;
  return recorded_by([&] { solve(problem, options_of(one, 2), self); });
}

std::uint64_t recorded_in_steps(const Prior& prior, const DeviceCase& one) {
  const SmallProblem small(prior);
  return recorded_in_steps(prior, *small.forward, small.shape, one);
}

bool differentiates(const DeviceCase& one) {
  return entry_of(options_of(one, 1).method).keeps_graph;
}

class SerialDeviceNoAutograd : public testing::TestWithParam<c10::Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SerialDeviceNoAutograd, testing::Values(at::kCPU, guarded::device()),
                         [](const auto& device) { return device.param.is_cpu() ? "Cpu" : "Guarded"; });

std::vector<DeviceCase> all_cases() {
  std::vector<DeviceCase> cases = device_cases();
  cases.push_back({"gibbs of a whole covariance",
                   {"--flow.method", "gibbs", "--flow.covariance", "full", "--flow.particles", "15"},
                   "mixture.h5"});
  return cases;
}

TEST_P(SerialDeviceNoAutograd, IsInAStepOfAnyMethodThatDoesNotDifferentiateTheDenoiser) {
  for (const DeviceCase& one : all_cases()) {
    const auto prior = small_prior(GetParam(), at::kFloat, one.prior, one.codec);
    const std::uint64_t recorded = recorded_in_steps(*prior, one);
    // The others show that the count sees what there is.
    EXPECT_EQ(recorded > 0, differentiates(one)) << one.name << ": " << recorded;
  }
}

TEST_P(SerialDeviceNoAutograd, IsInAStepInHalfPrecisionOrWithRecomputation) {
  for (const auto type : {at::kBFloat16, at::kHalf}) {
    PriorOptions options;
    options.device = GetParam();
    options.unet_type = options.autoencoder_type = type;
    options.decoder_gradient = DecoderGradient::recompute;
    const auto prior = load_prior(std::string(DWGF_TEST_DATA) + "/prior/sd1", options);
    EXPECT_EQ(recorded_in_steps(*prior, {"paper", {}}), 0u);
  }
}

TEST_P(SerialDeviceNoAutograd, IsInAStepWithAnyNonlinearOperator) {
  const ImageShape shape{3, 32, 32};
  const auto prior = small_prior(GetParam(), at::kFloat);
  for (const char* spec : {"hdr", "phase", "quantise:9", "jpeg:40", "mean:2 | hdr", "blur:3,1 | phase"}) {
    const auto forward = make_operator(spec, {shape, 1, 3});
    EXPECT_EQ(recorded_in_steps(*prior, *forward, shape, {"paper", {}}), 0u) << spec;
    EXPECT_EQ(recorded_in_steps(*prior, *forward, shape, {"bayes", {"--flow.preset", "bayes"}}), 0u) << spec;
  }
}

/// Its pull-back is the default, which is autograd's.
struct OnlyApply final : ForwardOperator {
  at::Tensor apply(const at::Tensor& x) const override { return x * x * x; }
  bool is_linear() const override { return false; }
  std::vector<std::int64_t> measurement_shape() const override { return {3, 32, 32}; }
};

TEST_P(SerialDeviceNoAutograd, IsSeenWhereAnOperatorBringsIt) {
  const auto prior = small_prior(GetParam(), at::kFloat);
  for (const DeviceCase& one :
       {DeviceCase{"paper", {}}, {"fast", {"--flow.preset", "fast"}}, {"bayes", {"--flow.preset", "bayes"}}})
    EXPECT_GT(recorded_in_steps(*prior, OnlyApply(), {3, 32, 32}, one), 0u) << one.name;
}

TEST(SerialDeviceKernels, ThoseOfLibTorchGiveTheSameOnTheCpu) {
  // Without attention, for which LibTorch chooses another forward kernel on each device.
  const AutoencoderConfig config{.image_channels = 3,
                                 .latent_channels = 4,
                                 .channels = {8, 16},
                                 .layers = 1,
                                 .norm_groups = 4,
                                 .middle_attention = false};
  for (const auto type : {at::kFloat, at::kHalf}) {
    Autoencoder here(config, {at::TensorOptions(type), Kernels::portable}),
        there(config, {at::TensorOptions(type).device(guarded::device()), Kernels::portable});
    for (auto& item : here.named_parameters()) {
      const at::Tensor& p = item.value();
      p.copy_(waves(p.sizes(), at::kDouble) * (p.dim() > 1 ? 0.3 : 1.0));
      there.named_parameters()[item.key()].copy_(p);
    }
    const at::Tensor z = waves({2, 4, 6, 5}, type), c = waves({2, 3, 12, 10}, type, 0.53);
    const auto [value, pull] = decoder_vjp(here.decoder_stages(), z, DecoderGradient::plain);
    const auto [value_there, pull_there] =
        decoder_vjp(there.decoder_stages(), z.to(guarded::device()), DecoderGradient::plain);
    EXPECT_TRUE(at::equal(value_there.cpu(), value));
    // LibTorch takes silu's product apart on devices that it does not know.
    EXPECT_LT(relative_difference(pull_there(c.to(guarded::device())), pull(c)),
              type == at::kHalf ? 1e-3 : 1e-6);
  }
}

}  // namespace
}  // namespace dwgf::test
