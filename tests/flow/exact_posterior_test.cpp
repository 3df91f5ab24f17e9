#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>
#include <dwgf/prior/flow_matching_path.hpp>

#include "flow/draws.hpp"
#include "prior/moments.hpp"

namespace dwgf {
namespace {

at::Tensor normals(at::IntArrayRef shape, std::uint32_t stream) {
  return normals_like(at::empty(shape, at::kDouble).unsqueeze(0), {99, 0, stream, 0, Purpose::init})
      .squeeze(0);
}

/// y = B z + sigma n under p(z) = sum_k w_k N(mu_k, S_k), with its exact posterior, a mixture as well.
struct LinearProblem {
  GaussianMixture mixture;
  at::Tensor matrix;  // A [m, pixels]
  at::Tensor y;       // [m], float64 of the float32 that is solved for
  double sigma = 0.05;

  at::Tensor weights, means, covariances;  // of the posterior: [K], [K, d], [K, d, d]

  void solve_exactly() {
    const std::int64_t count = mixture.means.size(0);
    const at::Tensor mu = mixture.means.flatten(1);
    const std::int64_t d = mu.size(1);
    const at::Tensor b = at::matmul(matrix, mixture.decoder);  // [m, d]
    const at::Tensor shifted = y - at::mv(matrix, mixture.offset.flatten());
    std::vector<at::Tensor> log_weights, m, c;
    for (std::int64_t k = 0; k < count; ++k) {
      const at::Tensor s = mixture.covariances[k], precision = at::linalg_inv(s);
      c.push_back(at::linalg_inv(precision + at::matmul(b.t(), b) / (sigma * sigma)));
      m.push_back(at::mv(c.back(), at::mv(precision, mu[k]) + at::mv(b.t(), shifted) / (sigma * sigma)));
      const at::Tensor evidence =
          at::matmul(at::matmul(b, s), b.t()) + sigma * sigma * at::eye(b.size(0), at::kDouble);
      const at::Tensor gap = shifted - at::mv(b, mu[k]);
      log_weights.push_back(mixture.weights[k].log() - 0.5 * at::logdet(evidence) -
                            0.5 * at::dot(gap, at::mv(at::linalg_inv(evidence), gap)));
    }
    weights = at::softmax(at::stack(log_weights), 0);
    means = at::stack(m);
    covariances = at::stack(c).view({count, d, d});
  }
};

/// One Gaussian in d dimensions, 4 measurements of an image of d + 5 pixels. `contrast` scales images and
/// noise alike, which leaves the posterior as it is.
LinearProblem gaussian_problem(std::int64_t d, bool twice = false, double contrast = 1.0) {
  const std::int64_t pixels = d + 5, m = 4;
  const double dim = static_cast<double>(d);
  LinearProblem problem;
  const at::Tensor q = normals({d, d}, 1);
  problem.mixture.weights = at::ones({1}, at::kDouble);
  problem.mixture.means = normals({1, 1, 1, d}, 2);
  problem.mixture.covariances = (at::matmul(q, q.t()) / dim + 0.1 * at::eye(d, at::kDouble)).unsqueeze(0);
  problem.mixture.decoder = normals({pixels, d}, 3) * (contrast / std::sqrt(dim));
  problem.mixture.offset = 0.1 * contrast * normals({1, 1, pixels}, 4);
  problem.sigma *= contrast;
  problem.matrix = normals({m, pixels}, 5) / std::sqrt(static_cast<double>(pixels));
  const at::Tensor z = problem.mixture.means.flatten() +
                       at::mv(at::linalg_cholesky(problem.mixture.covariances[0]), normals({d}, 6));
  const at::Tensor x = at::mv(problem.mixture.decoder, z) + problem.mixture.offset.flatten();
  problem.y = (at::mv(problem.matrix, x) + problem.sigma * normals({m}, 7)).to(at::kFloat).to(at::kDouble);
  if (twice) {
    problem.matrix = at::cat({problem.matrix, problem.matrix});
    problem.y = at::cat({problem.y, problem.y});
    problem.sigma *= std::sqrt(2.0);
  }
  problem.solve_exactly();
  return problem;
}

/// Two well-separated modes in the plane, one number measured; the posterior has 0.21 of its mass in the
/// lighter mode.
LinearProblem two_modes() {
  const auto matrix = [](std::vector<double> values, at::IntArrayRef shape) {
    return at::tensor(at::ArrayRef<double>(values), at::kDouble).reshape(shape);
  };
  LinearProblem problem;
  problem.mixture.weights = matrix({0.3, 0.7}, {2});
  problem.mixture.means = matrix({-1.5, 0.3, 1.2, -0.4}, {2, 1, 1, 2});
  problem.mixture.covariances = matrix({0.15, 0.05, 0.05, 0.2, 0.2, -0.06, -0.06, 0.1}, {2, 2, 2});
  problem.mixture.decoder = matrix({1.0, 0.3, -0.2, 1.0, 0.5, 0.5}, {3, 2});
  problem.mixture.offset = at::zeros({1, 1, 3}, at::kDouble);
  problem.matrix = matrix({0.4, 0.8, 0.2}, {1, 3});
  problem.y = matrix({0.1}, {1}).to(at::kFloat).to(at::kDouble);
  problem.sigma = 0.3;
  problem.solve_exactly();
  return problem;
}

/// The moments of a mixture of one Gaussian, exact: the covariance of (z, x) given z_t is
/// (I; M) (S^-1 + (a / s)^2 I)^-1 (I; M)^T.
std::shared_ptr<const PriorMoments> exact_moments(const GaussianMixture& mixture) {
  const at::Tensor s = mixture.covariances[0];
  const std::int64_t d = s.size(0);
  const at::Tensor both = at::cat({at::eye(d, at::kDouble), mixture.decoder});  // [d + pixels, d]
  const at::Tensor zero = at::zeros({both.size(0), 1, 1}, at::kDouble);
  const auto moments = [&](const at::Tensor& covariance) {
    const at::Tensor factor = at::matmul(both, at::linalg_cholesky(covariance));
    return JointMoments{.factor = factor.view({both.size(0), 1, 1, d}), .variance = zero};
  };
  std::vector<PriorMoments::AtLevel> levels;
  const DdpmSchedule schedule(mixture.schedule);
  for (std::int64_t time = 1; time < schedule.train_steps(); ++time) {
    const Level level = schedule.level(time);
    const double precision = std::pow(level.signal / level.noise, 2);
    levels.push_back(
        {log_ratio(level), moments(at::linalg_inv(at::linalg_inv(s) + precision * at::eye(d, at::kDouble)))});
  }
  const at::Tensor mean = mixture.means.flatten();
  const at::Tensor x = at::mv(mixture.decoder, mean) + mixture.offset.flatten();
  return std::make_shared<const PriorMoments>(std::move(levels), at::cat({mean, x}).view({-1, 1, 1}),
                                              moments(s), std::map<std::string, std::string>{});
}

/// As exact as kalman is: nothing relaxed, every step a draw.
FlowOptions kalman_options(std::int64_t particles) {
  FlowOptions options;
  options.method = Method::kalman;
  options.particles = particles;
  options.micro_batch = particles / 8;
  options.grid = 9;
  options.record_every = 1000;
  options.seed = 3;
  options.kalman = {.relaxation = 1.0, .renoise = 1.0, .lag = 0.0, .sampled = SampledSteps::every};
  return options;
}

FlowOptions affine_options(std::int64_t particles) {
  FlowOptions options;
  options.data.objective = Objective::bayes;
  options.method = Method::affine;
  options.interaction.kind = InteractionKind::gaussian;
  options.interaction.covariance = CovarianceKind::full;
  options.particles = particles;
  options.micro_batch = particles / 8;
  options.grid = 50;
  options.settle = 10;
  options.rate = 0.5;
  options.weight = 1.0;
  options.data.consistency = options.data.decoder_std = 0.0;
  options.record_every = 1000;
  options.seed = 3;
  return options;
}

FlowOptions gibbs_options(std::int64_t particles, std::int64_t grid) {
  FlowOptions options = affine_options(particles);
  options.method = Method::gibbs;
  options.grid = grid;
  options.spacing = Spacing::log;
  options.settle = 1;
  options.gibbs.data_steps = 5;  // as many as there are measurements, and one
  return options;
}

class ExactPosterior : public ::testing::Test {
 protected:
  ExactPosterior() { at::set_num_threads(1); }

  /// The ensemble [N, d] on every rank.
  at::Tensor particles(const LinearProblem& linear, const FlowOptions& options, Collective& group) const {
    const auto prior = make_gaussian_mixture(linear.mixture, at::TensorOptions(at::kDouble));
    if (path) prior->path = path;
    if (options.method == Method::kalman) prior->moments = exact_moments(linear.mixture);
    const std::int64_t pixels = linear.mixture.offset.numel();
    OperatorContext context{{1, 1, pixels}, 0, 0};
    context.load_array = [&](const std::string&, const std::string&) { return linear.matrix; };
    const auto forward = make_operator("matrix:any", context);
    const auto noise = make_noise_model("gaussian", linear.sigma, *forward);
    const Problem problem{*prior, *forward, linear.y.to(at::kFloat), {1, 1, pixels}, 4, noise.get()};
    const Solution solution = solve(problem, options, group);
    const FlowState& state = solution.state;
    const std::int64_t d = state.latent_elements(),
                       slots = state.share.batches_per_rank * options.micro_batch;
    at::Tensor own = at::zeros({slots, d}, at::kDouble),
               all = at::zeros({group.size() * slots, d}, at::kDouble);
    for (std::size_t b = 0; b < state.batches.size(); ++b)
      own.slice(0, static_cast<std::int64_t>(b) * options.micro_batch)
          .slice(0, 0, options.micro_batch)
          .copy_(state.batches[b].z.flatten(1));
    const auto bytes = [](at::Tensor& t) {
      return std::span(static_cast<std::byte*>(t.data_ptr()), t.nbytes());
    };
    group.all_gather(bytes(own), bytes(all));
    return all.slice(0, 0, options.particles);
  }

  struct Error {
    double mean, covariance;  // relative, Euclidean and Frobenius
  };
  static Error error_of(const at::Tensor& z, const LinearProblem& linear) {
    const at::Tensor mean = z.mean(0), away = z - mean;
    const at::Tensor covariance = at::matmul(away.t(), away) / static_cast<double>(z.size(0) - 1);
    const auto relative = [](const at::Tensor& found, const at::Tensor& wanted) {
      return ((found - wanted).norm() / wanted.norm()).item<double>();
    };
    return {relative(mean, linear.means[0]), relative(covariance, linear.covariances[0])};
  }

  /// What n exact, independent samples miss: root mean square over 40 draws.
  static Error sampling_error(std::int64_t n, const LinearProblem& linear) {
    const at::Tensor root = at::linalg_cholesky(linear.covariances[0]);
    std::vector<Error> draws;
    for (std::uint32_t draw = 0; draw < 40; ++draw)
      draws.push_back(
          error_of(linear.means[0] + at::matmul(normals({n, root.size(0)}, 1000 + draw), root.t()), linear));
    return root_mean_square(draws);
  }
  static Error root_mean_square(const std::vector<Error>& errors) {
    Error sum{0, 0};
    for (const Error& error : errors) {
      sum.mean += error.mean * error.mean / static_cast<double>(errors.size());
      sum.covariance += error.covariance * error.covariance / static_cast<double>(errors.size());
    }
    return {std::sqrt(sum.mean), std::sqrt(sum.covariance)};
  }
  static std::string text_of(const Error& error) {
    return std::to_string(error.mean) + " " + std::to_string(error.covariance);
  }

  Communicator world = Communicator::world();
  std::shared_ptr<const NoisePath> path;  // in place of the mixture's
};

TEST_F(ExactPosterior, AffineFlowComesToRestAtTheGaussianPosterior) {
  for (const std::int64_t d : {8, 64}) {
    const LinearProblem linear = gaussian_problem(d);
    const Error error = error_of(particles(linear, affine_options(512), world), linear);
    EXPECT_LT(error.mean, 0.02) << d;
    EXPECT_LT(error.covariance, 0.05) << d;
    RecordProperty("d" + std::to_string(d), text_of(error));
  }
}

TEST_F(ExactPosterior, AffineFlowNeedsHardlyMoreParticlesThanDimensionsAndTheSameRestsForTwiceAsMany) {
  const LinearProblem linear = gaussian_problem(8);
  for (const std::int64_t n : {16, 32}) {
    const Error error = error_of(particles(linear, affine_options(n), world), linear);
    EXPECT_LT(error.mean, 0.02) << n;
    EXPECT_LT(error.covariance, 0.05) << n;
  }
}

TEST_F(ExactPosterior, AffineFlowDoesNotSeeAMeasurementRepeatedWithItsVarianceDoubled) {
  const at::Tensor once = particles(gaussian_problem(8), affine_options(64), world);
  const at::Tensor twice = particles(gaussian_problem(8, true), affine_options(64), world);
  const LinearProblem linear = gaussian_problem(8, true);
  EXPECT_LT(error_of(twice, linear).mean, 0.02);
  EXPECT_LT(error_of(twice, linear).covariance, 0.05);
  EXPECT_LT(((once.mean(0) - twice.mean(0)).norm() / once.mean(0).norm()).item<double>(), 1e-4);
}

TEST_F(ExactPosterior, SplitGibbsIsAsGoodAsIndependentSamples) {
  for (const std::int64_t d : {8, 64}) {
    const LinearProblem linear = gaussian_problem(d);
    const Error error = error_of(particles(linear, gibbs_options(512, 50), world), linear),
                exact = sampling_error(512, linear);
    EXPECT_LT(error.mean, 1.5 * exact.mean) << d;
    EXPECT_LT(error.covariance, 1.5 * exact.covariance) << d;
    RecordProperty("d" + std::to_string(d), text_of(error) + " exact " + text_of(exact));
  }
}

TEST_F(ExactPosterior, KalmanIsAsGoodAsIndependentSamplesInEightEvaluations) {
  for (const std::int64_t d : {8, 64}) {
    const LinearProblem linear = gaussian_problem(d, false, 0.1);
    const Error error = error_of(particles(linear, kalman_options(512), world), linear),
                exact = sampling_error(512, linear);
    EXPECT_LT(error.mean, 1.5 * exact.mean) << d;
    EXPECT_LT(error.covariance, 1.5 * exact.covariance) << d;
    RecordProperty("kalman_d" + std::to_string(d), text_of(error) + " exact " + text_of(exact));
  }
}

TEST_F(ExactPosterior, OnTheLineOfFlowMatchingTheMethodsAreAsGood) {
  path = std::make_shared<FlowMatchingPath>(FlowMatchingConfig{.shift = 3.0});
  const LinearProblem linear = gaussian_problem(8), faint = gaussian_problem(8, false, 0.1);
  const Error affine = error_of(particles(linear, affine_options(64), world), linear);
  EXPECT_LT(affine.mean, 0.02);
  EXPECT_LT(affine.covariance, 0.05);
  for (const auto& [options, of] :
       {std::pair{gibbs_options(512, 50), linear}, {kalman_options(512), faint}}) {
    const Error error = error_of(particles(of, options, world), of), exact = sampling_error(512, of);
    EXPECT_LT(error.mean, 1.5 * exact.mean) << static_cast<int>(options.method);
    EXPECT_LT(error.covariance, 1.5 * exact.covariance) << static_cast<int>(options.method);
    RecordProperty("line" + std::to_string(static_cast<int>(options.method)),
                   text_of(error) + " exact " + text_of(exact));
  }
}

TEST_F(ExactPosterior, SplitGibbsDependsNeitherOnTheNumberOfParticlesNorOnARepeatedMeasurement) {
  for (const auto& [n, twice] : {std::pair{128, false}, {256, true}}) {
    const LinearProblem linear = gaussian_problem(8, twice);
    const Error error = error_of(particles(linear, gibbs_options(n, 50), world), linear),
                exact = sampling_error(n, linear);
    EXPECT_LT(error.mean, 1.5 * exact.mean) << n << twice;
    EXPECT_LT(error.covariance, 1.5 * exact.covariance) << n << twice;
    RecordProperty("n" + std::to_string(n) + (twice ? "twice" : ""),
                   text_of(error) + " exact " + text_of(exact));
  }
}

TEST_F(ExactPosterior, SplitGibbsFindsTheMassOfTwoModes) {
  const LinearProblem linear = two_modes();
  FlowOptions options = gibbs_options(512, 200);
  options.interaction.covariance = CovarianceKind::diagonal;
  options.gibbs.data_steps = 3;
  const at::Tensor z = particles(linear, options, world);  // [N, 2]
  std::vector<at::Tensor> log_density;
  for (std::int64_t k = 0; k < 2; ++k) {
    const at::Tensor away = z - linear.means[k], c = linear.covariances[k];
    log_density.push_back(linear.weights[k].log() - 0.5 * at::logdet(c) -
                          0.5 * (away * at::matmul(away, at::linalg_inv(c))).sum(1));
  }
  const double mass = at::softmax(at::stack(log_density, 1), 1).mean(0)[0].item<double>();
  EXPECT_NEAR(mass, linear.weights[0].item<double>(), 0.05);
  RecordProperty("mass", std::to_string(mass));
}

TEST_F(ExactPosterior, EveryIntegratorAndCovarianceGivesTheSameBitsOnAllRanksAsOnOne) {
  const LinearProblem linear = gaussian_problem(4);
  std::vector<FlowOptions> cases{affine_options(11), gibbs_options(11, 20), gibbs_options(3, 20)};
  cases[2].interaction.covariance = CovarianceKind::diagonal;
  for (const CovarianceKind kind : {CovarianceKind::full, CovarianceKind::lowrank}) {
    cases.push_back(affine_options(11));
    cases.back().method = Method::dwgf;
    cases.back().interaction.covariance = kind;
  }
  cases.push_back(kalman_options(11));
  for (std::size_t k = 0; k < cases.size(); ++k) {
    cases[k].micro_batch = 2;
    cases[k].settle = 2;
    cases[k].steps = 6;
    const at::Tensor shared = particles(linear, cases[k], world);
    SelfCollective self;
    EXPECT_TRUE(at::equal(shared, particles(linear, cases[k], self))) << k;
  }
}

}  // namespace
}  // namespace dwgf
