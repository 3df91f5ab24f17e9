#include "flow/methods/latino.hpp"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/flow/times.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

#include "flow/draws.hpp"
#include "flow/terms/conjugate_gradients.hpp"
#include "flow/terms/proximal.hpp"
#include "prior/moments.hpp"

namespace dwgf {
namespace {

const at::TensorOptions kDouble(at::kDouble);
constexpr double kContrast = 0.1;
constexpr double kSigma = 0.05;

at::Tensor normals(at::IntArrayRef shape, std::uint32_t stream) {
  return normals_like(at::empty(shape, kDouble).unsqueeze(0), {7, 0, stream, 0, Purpose::init}).squeeze(0);
}

/// Of z ~ N(0, I), exactly.
class Shrinking final : public Denoiser {
 public:
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    return z_t * level.noise;
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return {noise(z_t, level, given),
            [s = level.noise](const at::Tensor& cotangent) { return cotangent * s; }};
  }
};

/// x = 0.1 z, and its inverse.
class Scaling final : public Codec {
 public:
  at::Tensor decode(const at::Tensor& z) const override { return kContrast * z; }
  Vjp decode_vjp(const at::Tensor& z) const override {
    return {decode(z), [](const at::Tensor& cotangent) { return kContrast * cotangent; }};
  }
  LatentDistribution encode(const at::Tensor& x) const override { return {x / kContrast, at::zeros_like(x)}; }
  Vjp encode_vjp(const at::Tensor& x) const override {
    return {x / kContrast, [](const at::Tensor& cotangent) { return cotangent / kContrast; }};
  }
};

/// Images and latents of 4 x 6.
class Latino : public ::testing::Test {
 protected:
  Latino() {
    at::set_num_threads(1);
    prior.path = std::make_shared<DdpmSchedule>(DdpmScheduleConfig{});
    prior.denoiser = std::make_shared<Shrinking>();
    prior.codec = std::make_shared<Scaling>();
    prior.geometry = {.image_channels = 1, .latent_channels = 1, .factor = 1};
    prior.options = kDouble;
    prior.sha256 = std::string(64, '0');
  }

  /// Errors of variance 5 in latents, and 0.02, a level e times as noisy 0.04, in pixels.
  void give_moments() {
    std::vector<PriorMoments::AtLevel> levels;
    for (const double ratio : {0.0, 1.0}) {
      const at::Tensor variance = at::full({2, 1, 1}, 0.02 * (1.0 + ratio), kDouble);
      variance[0] = 5.0;
      levels.push_back({ratio, {.factor = {}, .variance = variance, .scale = {}, .root = {}}});
    }
    prior.moments = std::make_shared<const PriorMoments>(
        levels, at::zeros({2, 1, 1}, kDouble), levels.front().moments, std::map<std::string, std::string>());
  }

  Problem problem(const std::string& spec, const std::string& noise_spec = "gaussian") {
    forward = make_operator(spec, {.image_shape = shape, .seed = 1, .image = 2});
    noise = make_noise_model(noise_spec, kSigma, *forward);
    y = forward->apply(kContrast * normals({1, 1, 4, 6}, 9)).squeeze(0).to(at::kFloat);
    return {prior, *forward, y, shape, 2, noise.get()};
  }

  static FlowOptions options(std::int64_t steps, LatinoDelta delta) {
    FlowOptions options;
    options.method = Method::latino;
    options.particles = 5;
    options.micro_batch = 2;
    options.grid = 9;
    options.steps = steps;
    options.seed = 4;
    options.latino.delta = delta;
    return options;
  }

  /// A [m, pixels], row by row of its adjoint.
  at::Tensor matrix() const {
    std::vector<std::int64_t> batch = forward->measurement_shape();
    const std::int64_t m = c10::multiply_integers(batch);
    batch.insert(batch.begin(), m);
    return forward->pull_back({}, at::eye(m, kDouble).view(batch)).flatten(1);
  }

  /// argmin_u |A u - y|^2 / (2 sigma^2) + |u - x|^2 / (2 rho^2) of one image x [pixels].
  at::Tensor exact_prox(const at::Tensor& x, double variance) const {
    const at::Tensor a = matrix();
    const at::Tensor precision =
        at::matmul(a.t(), a) / (kSigma * kSigma) + at::eye(a.size(1), kDouble) / variance;
    const at::Tensor right = at::mv(a.t(), y.flatten().to(kDouble)) / (kSigma * kSigma) + x / variance;
    return at::linalg_solve(precision, right);
  }

  const ImageShape shape{1, 4, 6};
  Prior prior;
  std::shared_ptr<const ForwardOperator> forward;
  std::unique_ptr<NoiseModel> noise;
  at::Tensor y;
  SelfCollective self;
};

const char* const kLinear[] = {"identity", "mean:2", "box:1,1,2,3", "random:0.4", "blur:3,1"};

TEST_F(Latino, ProximalStepsAreTheMinimiserOfEverySampleWithItsOwnVariance) {
  for (const char* spec : kLinear) {
    const Problem given = problem(spec);
    const at::Tensor x = normals({3, 1, 4, 6}, 11);
    const std::vector<double> variances{1e-4, 0.02, 3.0};
    const at::Tensor moved = proximal_step(given, x, at::tensor(at::ArrayRef<double>(variances), kDouble));
    for (std::int64_t i = 0; i < 3; ++i) {
      const at::Tensor exact = exact_prox(x[i].flatten(), variances[static_cast<std::size_t>(i)]);
      EXPECT_TRUE(at::allclose(moved[i].flatten(), exact, 1e-6, 1e-7)) << spec << " " << i;
    }
  }
}

TEST_F(Latino, ProximalStepsLowerTheirObjectiveForOperatorsAndNoiseOfEveryKind) {
  for (const char* spec : {"hdr", "quantise:16", "blur:3,1 | hdr", "mean:2"}) {
    for (const char* noise_spec : {"gaussian", "poisson:100", "uniform:0.1"}) {
      const Problem given = problem(spec, noise_spec);
      const at::Tensor x = 0.3 * normals({1, 1, 4, 6}, 11), variance = at::full({1}, 0.05, kDouble);
      const auto objective = [&](const at::Tensor& u) {
        return ((u - x).square().sum() / 0.1 - noise->log_likelihood(forward->apply(u), y)).item<double>();
      };
      EXPECT_LT(objective(proximal_step(given, x, variance)), objective(x)) << spec << " " << noise_spec;
    }
  }
}

/// The first step from the same noise, by dense linear algebra.
TEST_F(Latino, StepsAreTheClosedFormOfALinearCodec) {
  give_moments();
  const Level level = prior.path->nearest(log_ratio_at(999));
  for (const LatinoDelta delta : {LatinoDelta::published, LatinoDelta::measured}) {
    for (const char* spec : kLinear) {
      const Problem given = problem(spec);
      const FlowState found = solve(given, options(1, delta), self).state;
      FlowState start = initial_state(share_particles(5, 2, 0, 1), {1, 4, 6}, 4, 2, prior.options);
      const at::Tensor pulled = at::mv(matrix().t(), y.flatten().to(kDouble)).clamp(-1, 1) / kContrast;
      for (std::size_t b = 0; b < found.batches.size(); ++b) {
        for (std::int64_t i = 0; i < 2; ++i) {
          const at::Tensor z_t = level.signal * pulled + level.noise * start.batches[b].z[i].flatten();
          const at::Tensor x = (kContrast * level.signal * z_t).clamp(-1, 1);  // E[z | z_t] = a z_t
          const double missed = (at::mv(matrix(), x) - y.flatten().to(kDouble)).square().sum().item<double>();
          const double rms = std::sqrt(missed / static_cast<double>(forward->observed_count()));
          double variance = 0.04;  // beyond the noisiest level that is calibrated
          if (delta == LatinoDelta::published) {
            const bool masked = forward->observed().defined(), fewer = std::string(spec) == "mean:2";
            variance = masked  ? 1.0
                       : fewer ? 0.3 * std::sqrt(3.0 * 64 * 64) * rms
                               : 5e-4 * std::sqrt(3.0) * 1024 * rms;
            variance *= level.noise * level.noise;
          }
          const at::Tensor exact = exact_prox(x, variance).clamp(-1, 1) / kContrast;
          EXPECT_TRUE(at::allclose(found.batches[b].z[i].flatten(), exact, 1e-5, 1e-5)) << spec;
        }
      }
    }
  }
}

TEST_F(Latino, GivesTheSameBitsOnAllRanksAsOnOne) {
  give_moments();
  Communicator world = Communicator::world();
  for (const LatinoDelta delta : {LatinoDelta::published, LatinoDelta::measured}) {
    for (const char* spec : {"mean:2", "box:1,1,2,3", "hdr"}) {
      const Problem given = problem(spec);
      const FlowState shared = solve(given, options(0, delta), world).state,
                      alone = solve(given, options(0, delta), self).state;
      for (const ParticleBatch& batch : shared.batches) {
        EXPECT_TRUE(at::isfinite(batch.z).all().item<bool>()) << spec;
        const auto same = std::ranges::find(alone.batches, batch.first, &ParticleBatch::first);
        ASSERT_NE(same, alone.batches.end());
        EXPECT_TRUE(at::equal(batch.z, same->z)) << spec;
      }
    }
  }
}

TEST_F(Latino, TakesTheAuthorsTimes) {
  const Problem given = problem("identity");
  class Asked final : public Denoiser {
   public:
    explicit Asked(std::vector<double>& times) : times_(times) {}
    at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
      times_.push_back(level.time);
      return z_t * level.noise;
    }
    Vjp noise_vjp(const at::Tensor& z_t, const Level&, const Conditioning&) const override {
      return identity_vjp(z_t);
    }

   private:
    std::vector<double>& times_;
  };
  std::vector<double> times;
  prior.denoiser = std::make_shared<Asked>(times);
  FlowOptions one = options(0, LatinoDelta::published);
  one.particles = one.micro_batch = 1;
  solve(given, one, self);
  EXPECT_EQ(times, (std::vector<double>{999, 874, 749, 624, 499, 374, 249, 124}));
}

TEST_F(Latino, NeedsMomentsForAMeasuredDeltaAlone) {
  const Problem given = problem("identity");
  EXPECT_NO_THROW(solve(given, options(0, LatinoDelta::published), self));
  try {
    solve(given, options(0, LatinoDelta::measured), self);
    FAIL() << "no moments, no error";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("calibrate-prior"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace dwgf
