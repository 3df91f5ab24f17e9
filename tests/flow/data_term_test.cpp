#include "flow/terms/data_term.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/prior/families/stable_diffusion.hpp>

namespace dwgf {
namespace {

/// An image that is no multiple of the prior's factor, 4: its canvas is 20 x 12.
constexpr ImageShape kOdd{3, 17, 10};

class OddSizes : public ::testing::TestWithParam<const char*> {
 protected:
  OddSizes()
      : prior(load_stable_diffusion(std::string(DWGF_TEST_DATA) + "/prior/sd1", {.dtype = at::kDouble})),
        forward(make_operator(GetParam(), {kOdd, 1, 2})) {
    at::set_num_threads(1);
    options.decoder_std = 0.0;
    options.consistency = 0.0;
    const at::Tensor ramp = at::linspace(-1.5, 1.5, 2 * 4 * 5 * 3, at::kDouble);
    z = (3.7 * ramp).sin().reshape({2, 4, 5, 3});
    y = forward
            ->apply((2.1 * at::arange(kOdd.channels * kOdd.height * kOdd.width, at::kDouble))
                        .sin()
                        .view({1, 3, 17, 10}))
            .squeeze(0)
            .to(at::kFloat);
  }

  at::Tensor misfit_at(const at::Tensor& latent) const {
    return DataTerm({*prior, *forward, y, kOdd, 2}, options, 0).gradient(latent, 0, 0).misfit;
  }

  std::unique_ptr<Prior> prior;
  std::shared_ptr<const ForwardOperator> forward;
  DataTermOptions options;
  at::Tensor z, y;
};

TEST_P(OddSizes, GradientAgreesWithFiniteDifferencesOfTheMisfit) {
  const Problem problem{*prior, *forward, y, kOdd, 2};
  const at::Tensor gradient = DataTerm(problem, options, 0).gradient(z, 0, 0).gradient;
  ASSERT_EQ(gradient.sizes(), z.sizes());
  const double step = 1e-5;
  for (const std::int64_t entry : {0, 17, 58, 61, 119}) {
    at::Tensor change = at::zeros_like(z);
    change.view(-1)[entry] = step;
    const double expected =
        ((misfit_at(z + change) - misfit_at(z - change)).sum() / (2 * step)).item<double>();
    EXPECT_NEAR(gradient.reshape(-1)[entry].item<double>(), expected, 1e-7 * (1 + std::abs(expected)))
        << entry;
  }
}

TEST_P(OddSizes, MisfitIsThatOfTheImageAlone) {
  const at::Tensor x = prior->codec->decode(z);  // [2, 3, 20, 12]
  const at::Tensor seen = forward->apply(x.narrow(2, 0, 17).narrow(3, 0, 10).contiguous());
  const at::Tensor expected = (seen - y.to(at::kDouble)).flatten(1).square().sum(1) /
                              (2.0 * static_cast<double>(forward->observed_count()));
  EXPECT_TRUE(at::allclose(misfit_at(z), expected, 1e-12, 0));
}

TEST_P(OddSizes, GradientOfThePosteriorIsThatOfTheNoisesLogLikelihoodTempered) {
  options.objective = Objective::bayes;
  for (const char* spec : {"gaussian", "uniform:0.05"}) {
    const auto noise = make_noise_model(spec, 0.7, *forward);
    const Problem problem{*prior, *forward, y, kOdd, 2, noise.get()};
    const auto loss = [&](const at::Tensor& latent) {
      const at::Tensor x = prior->codec->decode(latent);  // [2, 3, 20, 12]
      const at::Tensor seen = forward->apply(x.narrow(2, 0, 17).narrow(3, 0, 10).contiguous());
      return -0.3 * noise->log_likelihood(seen, y).sum().item<double>();
    };
    const at::Tensor gradient = DataTerm(problem, options, 0).gradient(z, 0, 0, 0.3).gradient;
    const double step = 1e-5;
    for (const std::int64_t entry : {0, 58, 119}) {
      at::Tensor change = at::zeros_like(z);
      change.view(-1)[entry] = step;
      const double expected = (loss(z + change) - loss(z - change)) / (2 * step);
      EXPECT_NEAR(gradient.reshape(-1)[entry].item<double>(), expected, 1e-5 * (1 + std::abs(expected)))
          << spec << " " << entry;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operators, OddSizes,
                         ::testing::Values("identity", "blur:5,1.2", "box:2,2,9,5", "hdr"),
                         [](const auto& info) {
                           const std::string spec = info.param;
                           return spec.substr(0, spec.find(':'));
                         });

}  // namespace
}  // namespace dwgf
