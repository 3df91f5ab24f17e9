// What is estimated beside the particles, by all methods that have a data term.
#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "flow/draws.hpp"
#include "flow/unknowns/noise_level.hpp"
#include "support/known_images.hpp"

namespace dwgf {
namespace {

at::Tensor normals(at::IntArrayRef shape, std::uint32_t stream) {
  return normals_like(at::empty(shape, at::kDouble).unsqueeze(0), {41, 0, stream, 0, Purpose::init})
      .squeeze(0);
}

TEST(UnknownNoiseLevel, OfKnownImagesIsTheRootMeanSquareOfWhatIsObserved) {
  const ImageShape shape{1, 12, 10};
  test::KnownImages::image = normals({1, 12, 10}, 1);
  const auto prior = test::white_prior(shape);
  Communicator world = Communicator::world();
  for (const char* spec : {"identity", "mean:2", "box:2,2,5,5"}) {
    SCOPED_TRACE(spec);
    const auto forward = make_operator(spec, {shape});
    const at::Tensor clean = forward->apply(test::KnownImages::image.unsqueeze(0)).squeeze(0);
    at::Tensor noise = 0.07 * normals(clean.sizes(), 2);
    if (forward->observed().defined()) noise = noise * forward->observed();
    const at::Tensor y = (clean + noise).to(at::kFloat);
    const double expected = std::sqrt((y.to(at::kDouble) - clean).square().sum().item<double>() /
                                      static_cast<double>(forward->observed_count()));
    const auto model = make_noise_model("gaussian", 0.5, *forward);
    const Unknowns unknowns{make_unknown_noise_level(0.5)};
    const Problem problem{*prior, *forward, y, shape, 0, model.get(), nullptr, &unknowns};
    FlowObserver nobody;
    const Solution solution = solve(problem, {.particles = 5, .steps = 3, .micro_batch = 2},
                                    test::kKnownImages, {world, world}, nobody);
    ASSERT_EQ(solution.estimates.size(), 1u);
    EXPECT_EQ(solution.estimates[0].name, "sigma");
    EXPECT_NEAR(solution.estimates[0].value[0], expected, 1e-6 * expected);
    EXPECT_EQ(solution.estimates[0].trace.size(), 3u);
    EXPECT_EQ(solution.parts.sigma, solution.estimates[0].value[0]);
    EXPECT_NEAR(solution.parts.noise->variance(), expected * expected, 1e-6 * expected * expected);
  }
}

TEST(UnknownNoiseLevel, HasTheModeOfItsConjugateLaw) {
  const auto forward = make_operator("identity", {{1, 2, 3}});
  const at::Tensor y = 0.1 * at::arange(6).view({1, 1, 2, 3}).to(at::kDouble);
  ProblemParts parts{forward, nullptr, 0.0};
  const auto unknown = make_unknown_noise_level(0.3, {.shape = 4.0, .scale = 0.5});
  const at::Tensor statistics = unknown->statistics_of({at::zeros_like(y), y, parts});
  const double square = 0.01 * (1 + 4 + 9 + 16 + 25);
  EXPECT_NEAR(unknown->stepped({0.3}, statistics[0], 0.5)[0], std::sqrt((0.5 + square / 2) / (4.0 + 6.0 / 2)),
              1e-12);
}

/// y = x + noise of 64 pixels from 6 latents, where the likelihood of y has a greatest sigma in closed form.
struct FewLatents {
  static constexpr std::int64_t kPixels = 64, kLatents = 6;
  GaussianMixture mixture;
  at::Tensor y;

  explicit FewLatents(double sigma) {
    mixture.weights = at::ones({1}, at::kDouble);
    mixture.means = at::zeros({1, 1, 1, kLatents}, at::kDouble);
    mixture.covariances = at::ones({1, 1, 1, kLatents}, at::kDouble);
    mixture.decoder = normals({kPixels, kLatents}, 3) / std::sqrt(static_cast<double>(kLatents));
    mixture.offset = at::zeros({1, 8, 8}, at::kDouble);
    const at::Tensor x = at::mv(mixture.decoder, normals({kLatents}, 4));
    y = (x + sigma * normals({kPixels}, 5)).view({1, 8, 8}).to(at::kFloat);
  }
  /// log N(y; 0, M M^T + sigma^2 I)
  double log_evidence(double sigma) const {
    const at::Tensor c =
        at::matmul(mixture.decoder, mixture.decoder.t()) + sigma * sigma * at::eye(kPixels, at::kDouble);
    const at::Tensor v = y.flatten().to(at::kDouble);
    return -0.5 * (at::logdet(c) + at::dot(v, at::linalg_solve(c, v))).item<double>();
  }
  double likeliest() const {
    double best = 0.0, most = -1e300;
    for (double sigma = 0.01; sigma < 1.0; sigma *= 1.002) {
      if (const double value = log_evidence(sigma); value > most) {
        most = value;
        best = sigma;
      }
    }
    return best;
  }
};

TEST(UnknownNoiseLevel, IsThatOfTheGreatestEvidenceWhereverItBegins) {
  const FewLatents few(0.2);
  const auto prior = make_gaussian_mixture(few.mixture, at::TensorOptions(at::kDouble));
  const auto forward = make_operator("identity", {{1, 8, 8}});
  const double expected = few.likeliest();
  Communicator world = Communicator::world();
  FlowOptions options{.method = Method::gibbs, .particles = 48, .grid = 31, .micro_batch = 8};
  options.interaction.kind = InteractionKind::gaussian;
  options.data = {.objective = Objective::bayes, .decoder_std = 0.0, .consistency = 0.0};
  options.spacing = Spacing::log;
  for (const double start : {0.02, 1.0}) {
    const auto model = make_noise_model("gaussian", start, *forward);
    const Unknowns unknowns{make_unknown_noise_level(start)};
    const Problem problem{*prior, *forward, few.y, {1, 8, 8}, 0, model.get(), nullptr, &unknowns};
    const Solution shared = solve(problem, options, world);
    EXPECT_NEAR(shared.estimates[0].value[0], expected, 0.02 * expected) << "from " << start;
    EXPECT_LT(shared.estimates[0].spread[0], 0.05 * expected);
    SelfCollective self;
    const Solution alone = solve(problem, options, self);
    EXPECT_EQ(shared.estimates[0].value, alone.estimates[0].value);
    EXPECT_EQ(shared.estimates[0].trace, alone.estimates[0].trace);
  }
}

TEST(UnknownNoiseLevel, LeavesAFlowWithoutUnknownsAsItIs) {
  const FewLatents few(0.2);
  const auto prior = make_gaussian_mixture(few.mixture, at::TensorOptions(at::kDouble));
  const auto forward = make_operator("identity", {{1, 8, 8}});
  const auto model = make_noise_model("gaussian", 0.2, *forward);
  const Unknowns none;
  SelfCollective self;
  const FlowOptions options{.particles = 3, .grid = 21, .micro_batch = 2};
  const Problem plain{*prior, *forward, few.y, {1, 8, 8}, 0, model.get()};
  const Problem joint{*prior, *forward, few.y, {1, 8, 8}, 0, model.get(), nullptr, &none};
  const Solution one = solve(plain, options, self), other = solve(joint, options, self);
  EXPECT_TRUE(other.estimates.empty());
  for (std::size_t b = 0; b < one.state.batches.size(); ++b)
    EXPECT_TRUE(at::equal(one.state.batches[b].z, other.state.batches[b].z));
}

}  // namespace
}  // namespace dwgf
