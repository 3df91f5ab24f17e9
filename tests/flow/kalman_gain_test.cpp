#include "flow/terms/kalman_gain.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

#include "flow/draws.hpp"

namespace dwgf {
namespace {

const at::TensorOptions kDouble(at::kDouble);

at::Tensor normals(at::IntArrayRef shape, std::uint32_t stream) {
  return normals_like(at::empty(shape, kDouble).unsqueeze(0), {7, 0, stream, 0, Purpose::init}).squeeze(0);
}

/// A denoiser and a decoder that are linear and cost nothing: 2 x 2 pixels a latent pixel.
class Shrinking final : public Denoiser {
 public:
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    return z_t * level.noise;  // of z ~ N(0, I)
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return {noise(z_t, level, given),
            [s = level.noise](const at::Tensor& cotangent) { return cotangent * s; }};
  }
};
class Repeating final : public Codec {
 public:
  at::Tensor decode(const at::Tensor& z) const override {
    return 0.2 * z.repeat_interleave(2, 2).repeat_interleave(2, 3);
  }
  Vjp decode_vjp(const at::Tensor& z) const override {
    return {decode(z), [](const at::Tensor& cotangent) { return 0.8 * at::avg_pool2d(cotangent, 2); }};
  }
  LatentDistribution encode(const at::Tensor& x) const override { return {x, x}; }
  Vjp encode_vjp(const at::Tensor& x) const override { return identity_vjp(x); }
};

/// Images of 5 x 6 in a canvas of 6 x 6, latents of 3 x 3.
class KalmanGains : public ::testing::Test {
 protected:
  KalmanGains() {
    at::set_num_threads(1);
    prior.path = std::make_shared<DdpmSchedule>(DdpmScheduleConfig{});
    prior.denoiser = std::make_shared<Shrinking>();
    prior.codec = std::make_shared<Repeating>();
    prior.geometry = {.image_channels = 1, .latent_channels = 1, .factor = 2};
    prior.options = kDouble;
    prior.sha256 = std::string(64, '0');
    std::vector<PriorMoments::AtLevel> levels;
    for (const double ratio : {-2.0, 2.0}) levels.push_back({ratio, some_moments(ratio)});
    prior.moments = std::make_shared<const PriorMoments>(
        levels, at::zeros({5, 1, 1}, kDouble), some_moments(0.0), std::map<std::string, std::string>());
  }

  static JointMoments some_moments(double phase) {
    return {.factor = 0.3 * normals({5, 3, 3, 4}, 1) * (2.0 + phase),
            .variance = at::full({5, 1, 1}, 0.01, kDouble),
            .scale = {},
            .root = 0.1 * normals({5, 3, 3, 3}, 2)};
  }

  Problem problem(const std::string& spec, const std::string& noise_spec = "gaussian") {
    forward = make_operator(spec, {.image_shape = shape, .seed = 1, .image = 2});
    noise = make_noise_model(noise_spec, 0.1, *forward);
    std::vector<std::int64_t> measured = forward->measurement_shape();
    y = 0.3 * normals(measured, 3).to(at::kFloat);
    if (forward->observed().defined()) y = y * forward->observed();
    return {prior, *forward, y, shape, 2, noise.get()};
  }

  const ImageShape shape{1, 5, 6};
  Prior prior;
  std::shared_ptr<const ForwardOperator> forward;
  std::unique_ptr<NoiseModel> noise;
  at::Tensor y;
};

TEST_F(KalmanGains, AreTheFormulaByFactorAndByConjugateGradients) {
  const Cells cells(prior.geometry, prior.geometry.canvas(5, 6));
  const StepCovariance covariance(prior.moments->at(0.7), cells);
  for (const char* spec : {"identity", "box:1,1,2,3", "random:0.4", "blur:3,1", "blur:3,1 | random:0.3"}) {
    const Problem given = problem(spec);
    const std::int64_t m = c10::multiply_integers(forward->measurement_shape());
    std::vector<std::int64_t> batch = forward->measurement_shape();
    batch.insert(batch.begin(), m);
    // A [m, Q h w], column by column of its adjoint.
    const at::Tensor rows = cells
                                .of_images(at::constant_pad_nd(
                                    forward->pull_back({}, at::eye(m, kDouble).view(batch)), {0, 0, 0, 1}))
                                .flatten(1);
    const at::Tensor j =
        covariance.times(at::eye(cells.entries(), kDouble).view({cells.entries(), 5, 3, 3})).flatten(1);
    const at::Tensor observed =
        forward->observed().defined() ? forward->observed().flatten().to(kDouble) : at::ones({m}, kDouble);
    const at::Tensor r = at::where(observed.ne(0), 0.01, 1.0);
    batch.front() = 2;
    const at::Tensor residual = (normals({2, m}, 5) * observed).view(batch),
                     variance = r.expand({2, m}).reshape(batch);
    const at::Tensor gram = at::matmul(at::matmul(rows, j), rows.t()) + r.diag();
    const at::Tensor expected =
        at::matmul(at::linalg_solve(gram, residual.flatten(1).t()).t(), at::matmul(rows, j));

    ASSERT_TRUE(can_project(covariance, given));
    ProjectedCovariance projected = project(covariance, given, cells);
    const KalmanGain by_factor(covariance, &projected, given, cells, 0);
    const KalmanGain by_gradients(covariance, nullptr, given, cells, 3 * m);
    const at::Tensor x = at::zeros({2, 1, 5, 6}, kDouble);
    const double size = expected.abs().max().item<double>();
    const auto off = [&](const KalmanGain& gain) {
      return (gain.correction(x, residual, variance).flatten(1) - expected).abs().max().item<double>();
    };
    EXPECT_LT(off(by_factor), 1e-3 * size) << spec;  // its allowance for float32
    EXPECT_LT(off(by_gradients), 1e-6 * size) << spec;
  }
}

class KalmanFlow : public KalmanGains {
 protected:
  FlowOptions options(SampledSteps sampled = SampledSteps::none) const {
    FlowOptions options;
    options.method = Method::kalman;
    options.particles = 3;
    options.micro_batch = 2;
    options.grid = 5;
    options.seed = 4;
    options.kalman.sampled = sampled;
    return options;
  }
  static at::Tensor images(const Solution& solution) {
    std::vector<at::Tensor> all;
    for (const ParticleBatch& batch : solution.state.batches) all.push_back(batch.image);
    return at::cat(all).narrow(2, 0, 5);
  }
  SelfCollective self;
};

TEST_F(KalmanFlow, GivesTheSameBitsWithAndWithoutTheMemoryOfOtherImages) {
  MethodMemory memory;
  for (const char* spec : {"box:1,1,2,3", "mean:1", "hdr", "box:1,1,2,3"}) {
    for (const SampledSteps sampled : {SampledSteps::none, SampledSteps::last, SampledSteps::every}) {
      Problem remembering = problem(spec);
      const at::Tensor alone = images(solve(remembering, options(sampled), self));
      memory.turn_to(forward);
      remembering.memory = &memory;
      EXPECT_TRUE(at::equal(images(solve(remembering, options(sampled), self)), alone)) << spec;
      EXPECT_TRUE(at::equal(images(solve(remembering, options(sampled), self)), alone)) << spec;
    }
  }
}

TEST_F(KalmanFlow, FitsTheMeasurementOfEveryKindOfOperatorAndNoise) {
  for (const char* spec :
       {"identity", "mean:1", "blur:3,1", "hdr", "quantise:16", "phase:0", "blur:3,1 | hdr"}) {
    for (const char* noise_spec : {"gaussian", "poisson:100", "uniform:0.1"}) {
      if (std::string(spec).starts_with("phase") && std::string(noise_spec).starts_with("poisson")) continue;
      const Problem given = problem(spec, noise_spec);
      // What a particle might look like.
      y = forward->apply(0.3 * normals({1, 1, 5, 6}, 9)).squeeze(0).to(at::kFloat);
      const Problem of_image{prior, *forward, y, shape, 2, noise.get()};
      const Solution solution = solve(of_image, options(), self);
      const auto misfit = [&](const at::Tensor& x) {
        return (forward->apply(x) - y.to(kDouble)).square().mean().item<double>();
      };
      EXPECT_LT(misfit(images(solution)), 0.5 * misfit(at::zeros({1, 1, 5, 6}, kDouble)))
          << spec << " " << noise_spec;
    }
  }
}

TEST_F(KalmanFlow, NeedsMoments) {
  prior.moments = nullptr;
  try {
    solve(problem("identity"), options(), self);
    FAIL() << "no moments, no error";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("calibrate-prior"), std::string::npos) << error.what();
  }
}

TEST_F(KalmanFlow, IsWhereOtherMethodsMayStart) {
  FlowOptions other = options();
  other.method = Method::dwgf;
  other.start = Start::kalman;
  other.start_time = 100;
  other.interaction.kind = InteractionKind::none;
  other.rate = 1e-9;
  other.data.consistency = 0.0;
  const Problem given = problem("blur:3,1");
  FlowOptions first = options();
  first.grid = 9;
  const Solution started = solve(given, other, self), kalman = solve(given, first, self);
  EXPECT_FALSE(started.state.batches[0].image.defined());
  EXPECT_TRUE(at::allclose(started.state.batches[0].z, kalman.state.batches[0].z, 0, 1e-6));
}

}  // namespace
}  // namespace dwgf
