// Guided samplers where everything is known: a Gaussian prior with a linear decoder.
#include "flow/methods/guided_sampling.hpp"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

#include "flow/draws.hpp"
#include "flow/methods/psld.hpp"
#include "flow/methods/reverse_diffusion.hpp"

namespace dwgf {
namespace {

at::Tensor wave(double frequency, at::IntArrayRef shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return (frequency * at::arange(1, count + 1, at::kDouble)).sin().reshape(shape);
}

/// d = 6 latents of shape [1, 2, 3], images [1, 4, 3] by a linear decoder.
class GaussianPrior : public ::testing::Test {
 protected:
  GaussianPrior() {
    at::set_num_threads(1);
    const at::Tensor root = wave(0.7, {6, 6}) * 0.3 + at::eye(6, at::kDouble) * 0.6;
    covariance = at::matmul(root, root.t());
    mean = wave(1.9, {6}) * 0.5;
    decoder = wave(1.1, {12, 6}) * 0.4 + at::eye(12, 6, at::kDouble);
    offset = wave(0.2, {12}) * 0.1;
  }

  std::unique_ptr<Prior> prior(bool with_decoder = true) const {
    GaussianMixture mixture;
    mixture.weights = at::ones({1}, at::kDouble);
    mixture.means = mean.view({1, 1, 2, 3});
    mixture.covariances = covariance.unsqueeze(0);
    if (with_decoder) {
      mixture.decoder = decoder;
      mixture.offset = offset.view({1, 4, 3});
    }
    return make_gaussian_mixture(mixture, at::kDouble);
  }

  at::Tensor mean, covariance, decoder, offset;
};

/// One step that lands on the clean latent is z0 - grad L, so that grad L can be read off.
TEST_F(GaussianPrior, GuidanceIsTheClosedFormOfTheGradient) {
  const auto own = prior();
  const ImageShape shape{1, 4, 3};
  const auto forward = make_operator("box:1,1,2,2", {shape});
  const at::Tensor kept = forward->observed().to(at::kDouble).view({12});
  const at::Tensor y = (wave(0.9, {12}) * kept).to(at::kFloat);
  FlowOptions options;
  options.grid = 20;
  options.steps = 1;
  options.particles = options.micro_batch = 3;
  options.guidance.weight = 0.8;
  for (const Method method : {Method::latent_dps, Method::psld}) {
    options.method = method;
    options.psld.gluing = 0.6;
    SelfCollective self;
    const at::Tensor found = solve({*own, *forward, y.view({1, 4, 3}), shape, 5}, options, self)
                                 .state.batches[0]
                                 .z.flatten(1);  // [3, 6]

    const Level level = own->path->levels(20)[0];
    const double a = level.signal, s = level.noise;
    const at::Tensor z_t =
        normals_like(at::empty({3, 1, 2, 3}, at::kDouble), {0, 5, 0, 0, Purpose::init}).flatten(1);
    const at::Tensor identity = at::eye(6, at::kDouble);
    // eps = s (a^2 C + s^2 I)^-1 (z_t - a mean); z0 is affine in z_t with the symmetric matrix `slope`.
    const at::Tensor precision = at::linalg_inv(a * a * covariance + s * s * identity);
    const at::Tensor eps = s * at::matmul(z_t - a * mean, precision);
    const at::Tensor slope = (identity - s * s * precision) / a;
    const at::Tensor z0 = (z_t - s * eps) / a;
    const at::Tensor missed = (at::matmul(z0, decoder.t()) + offset - y.to(at::kDouble)) * kept;  // [3, 12]
    at::Tensor gradient = 0.8 * at::matmul(missed / missed.norm(2, {1}, true), decoder);
    if (method == Method::psld) {
      // E D = I: the gluing term is |E M (A x - y)|, and its matrix in z0 is M^+ K M.
      const at::Tensor inverse = at::linalg_pinv(decoder);
      const at::Tensor apart = at::matmul(missed, inverse.t());  // z0 - E(x - (A x - y))
      const at::Tensor through = at::matmul(inverse, kept.unsqueeze(1) * decoder);
      gradient = gradient + 0.6 * at::matmul(apart / apart.norm(2, {1}, true), through);
    }
    const at::Tensor expected = z0 - at::matmul(gradient, slope);
    EXPECT_LT((found - expected).abs().max().item<double>(), 1e-9) << "method " << static_cast<int>(method);
  }
}

TEST_F(GaussianPrior, GluingVanishesWhereTheCodecIsExactAndTheMeasurementIsMet) {
  const auto own = prior();
  const ImageShape shape{1, 4, 3};
  const at::Tensor z0 = wave(0.33, {2, 1, 2, 3});
  for (const char* spec : {"box:1,1,2,2", "mean:1", "blur:3,0.8"}) {
    const auto forward = make_operator(spec, {shape});
    const at::Tensor y = forward->apply(own->codec->decode(z0.slice(0, 0, 1))).squeeze(0);
    const Problem problem{*own, *forward, y, shape, 5};
    const auto pull = [&](double gluing, const at::Tensor& z) {
      return Psld(problem, 0.0, gluing).gradient(z).gradient;
    };
    // A loss of 0 has no gradient; rounding leaves a vector of some direction, but |z0 - E(...)| is nothing.
    const at::Tensor back =
        own->codec->encode(own->codec->decode(z0)).mean -
        own->codec
            ->encode(own->codec->decode(z0) -
                     forward->pull_back(own->codec->decode(z0), forward->apply(own->codec->decode(z0)) - y) /
                         forward->squared_norm(shape))
            .mean;
    EXPECT_LT(back[0].norm().item<double>(), 1e-12) << spec;
    EXPECT_GT(back[1].norm().item<double>(), 1e-3) << spec << ": the other particle misses the measurement";
    EXPECT_GT(pull(1.0, z0)[1].norm().item<double>(), 1e-3) << spec;
    EXPECT_EQ(pull(0.0, z0).norm().item<double>(), 0.0) << spec;
  }
}

TEST_F(GaussianPrior, WithoutAMeasurementTheSamplesAreThePriors) {
  if (Communicator::world().size() > 1) GTEST_SKIP() << "nothing of it is shared";
  const auto own = prior(false);
  const ImageShape shape{1, 2, 3};
  const auto forward = make_operator("identity", {shape});
  FlowOptions options;
  options.method = Method::latent_dps;
  options.guidance.weight = 0.0;
  options.grid = 250;
  options.particles = options.micro_batch = 4000;
  options.record_every = 1000;
  const std::shared_ptr<const NoisePath> published = own->path,
                                         line = std::make_shared<FlowMatchingPath>(FlowMatchingConfig{});
  for (const auto& [path, eta] :
       {std::pair{published, 0.0}, {published, 0.5}, {published, 1.0}, {line, 1.0}}) {
    own->path = path;
    options.guidance.eta = eta;
    SelfCollective self;
    const at::Tensor z =
        solve({*own, *forward, at::zeros({1, 2, 3}), shape, 5}, options, self).state.batches[0].z.flatten(1);
    // 4000 independent samples: the standard error of a mean is 0.016 deviations, of a variance 2.2 %. The
    // rest is the grid's, and that z_T begins at N(0, I), 0.07 of the prior's mean away from where it should.
    const at::Tensor deviation = covariance.diagonal().sqrt();
    EXPECT_LT(((z.mean(0) - mean) / deviation).abs().max().item<double>(), 0.1) << "eta " << eta;
    const at::Tensor centred = z - z.mean(0);
    const at::Tensor found = at::matmul(centred.t(), centred) / 3999.0;
    EXPECT_LT(((found - covariance).norm() / covariance.norm()).item<double>(), 0.08) << "eta " << eta;
  }
}

TEST(ReverseStep, KeepsTheNoiseLevelOfAPerfectPrediction) {
  const Level level{0.6, 0.8}, next{0.8, 0.6};
  EXPECT_EQ(step_noise(level, next, 0.0), 0.0);
  // DDPM's posterior deviation (arXiv 2006.11239, equation 7): sqrt((1 - abar') / (1 - abar) beta), beta = 1
  // - abar / abar'
  EXPECT_NEAR(step_noise(level, next, 1.0), std::sqrt(0.36 / 0.64 * (1.0 - 0.36 / 0.64)), 1e-15);
  const at::Tensor z0 = wave(0.3, {2, 1, 2, 3}), eps = wave(2.3, {2, 1, 2, 3});
  const at::Tensor z_t = 0.6 * z0 + 0.8 * eps;
  EXPECT_TRUE(at::allclose(clean_estimate(z_t, eps, level), z0, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(reverse_step(z0, eps, next, 0.0, {}), 0.8 * z0 + 0.6 * eps, 1e-12, 1e-12));
  EXPECT_TRUE(at::equal(reverse_step(z0, eps, {1.0, 0.0}, 0.0, {}), z0));
  const double sigma = step_noise(level, next, 0.5);
  const at::Tensor fresh = wave(5.1, {2, 1, 2, 3});
  EXPECT_TRUE(at::allclose(reverse_step(z0, eps, next, sigma, fresh),
                           0.8 * z0 + std::sqrt(0.36 - sigma * sigma) * eps + sigma * fresh, 1e-12, 1e-12));
}

TEST(ReverseStep, TakesThePosteriorsNoiseOnAnyPath) {
  // z_t = (a / a') z_t' + r n with r^2 = s^2 - (a s' / a')^2, so that var(z_t' | z_t, z_0) is 1 / (1 / s'^2 +
  // (a / a')^2 / r^2).
  for (const auto& [level, next] : {std::pair{Level{0.1, 0.9}, Level{0.3, 0.7}}, {{0.5, 0.5}, {0.9, 0.1}}}) {
    const double ratio = level.signal / next.signal;
    const double r2 = level.noise * level.noise - std::pow(ratio * next.noise, 2);
    const double variance = 1.0 / (1.0 / (next.noise * next.noise) + ratio * ratio / r2);
    EXPECT_NEAR(step_noise(level, next, 1.0), std::sqrt(variance), 1e-14);
    EXPECT_NEAR(step_noise(level, next, 0.5), 0.5 * std::sqrt(variance), 1e-14);
  }
}

TEST(SquaredNorm, IsExactWhereSingularValuesAreEqual) {
  const ImageShape shape{1, 8, 8};
  EXPECT_NEAR(make_operator("mean:4", {shape})->squared_norm(shape), 1.0 / 16, 1e-12);
  EXPECT_NEAR(make_operator("box:2,2,3,3", {shape})->squared_norm(shape), 1.0, 1e-12);
  const auto blur = make_operator("blur:5,1.2", {shape});
  const at::Tensor matrix = blur->apply(at::eye(64, at::kDouble).view({64, 1, 8, 8})).view({64, 64});
  const double largest = at::linalg_eigvalsh(at::matmul(matrix, matrix.t())).max().item<double>();
  EXPECT_LE(blur->squared_norm(shape), largest * (1.0 + 1e-12));
  EXPECT_GT(blur->squared_norm(shape), largest * 0.98);
}

TEST(UnitVectors, HaveLengthOneOrAreZero) {
  const at::Tensor v = at::cat({wave(0.3, {1, 2, 3}), at::zeros({1, 2, 3}, at::kDouble)});
  const at::Tensor unit = unit_vectors(v);
  EXPECT_NEAR(unit[0].norm().item<double>(), 1.0, 1e-15);
  EXPECT_EQ(unit[1].norm().item<double>(), 0.0);
}

TEST_F(GaussianPrior, PsldRefusesAnOperatorThatIsNotLinear) {
  const auto own = prior();
  const ImageShape shape{1, 4, 3};
  const auto forward = make_operator("hdr", {shape});
  const Problem problem{*own, *forward, at::zeros({1, 4, 3}), shape, 5};
  FlowOptions options;
  options.method = Method::psld;
  SelfCollective self;
  EXPECT_THROW(solve(problem, options, self), UsageError);
}

}  // namespace
}  // namespace dwgf
