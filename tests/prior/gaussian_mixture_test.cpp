#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

at::Tensor wave(double frequency, at::IntArrayRef shape) {
  std::int64_t count = 1;
  for (const auto size : shape) count *= size;
  return (frequency * (at::arange(count, at::kDouble) + 1)).sin().reshape(shape);
}

/// Three components of latents [1, 2, 2].
GaussianMixture full_mixture() {
  const at::Tensor factors = wave(1.7, {3, 4, 4});
  return {.weights = at::tensor({1.0, 2.0, 0.5}, at::kDouble),
          .means = 2 * wave(0.9, {3, 1, 2, 2}),
          .covariances = at::matmul(factors, factors.transpose(1, 2)) + 0.2 * at::eye(4, at::kDouble),
          .decoder = {},
          .offset = {},
          .schedule = {}};
}

GaussianMixture diagonal_mixture() {
  GaussianMixture mixture = full_mixture();
  mixture.covariances = wave(0.3, {3, 1, 2, 2}).square() + 0.1;
  return mixture;
}

/// log p_t(z_t) of every sample [B], from dense inverses and determinants.
at::Tensor log_density(const GaussianMixture& mixture, const DdpmSchedule& schedule, const at::Tensor& z_t,
                       std::int64_t time) {
  const auto [a, s, told] = schedule.level(time);
  const std::int64_t d = z_t[0].numel();
  std::vector<at::Tensor> terms;
  for (std::int64_t k = 0; k < mixture.means.size(0); ++k) {
    const at::Tensor covariance = mixture.covariances.dim() == 3
                                      ? mixture.covariances[k]
                                      : at::diag(mixture.covariances[k].reshape({-1}));
    const at::Tensor noised = a * a * covariance + s * s * at::eye(d, at::kDouble);
    const at::Tensor gap = z_t.flatten(1) - a * mixture.means[k].reshape({1, -1});
    const at::Tensor distance = (at::matmul(gap, at::inverse(noised)) * gap).sum(1);
    terms.push_back((mixture.weights[k] / mixture.weights.sum()).log() - 0.5 * at::logdet(noised) -
                    0.5 * distance);
  }
  return at::logsumexp(at::stack(terms), 0) - 0.5 * static_cast<double>(d) * std::log(2 * std::numbers::pi);
}

class MixtureScore : public ::testing::TestWithParam<bool> {
 protected:
  GaussianMixture mixture = GetParam() ? full_mixture() : diagonal_mixture();
  std::unique_ptr<Prior> prior = make_gaussian_mixture(mixture, at::kDouble);
};

TEST_P(MixtureScore, IsTheGradientOfTheLogDensityAtEveryLevel) {
  const at::Tensor z = 1.5 * wave(2.3, {5, 1, 2, 2});
  const double step = 1e-5;
  for (const std::int64_t time : {0, 30, 400, 999}) {
    const at::Tensor noise = prior->noise(z, test::level_at(*prior, time));
    for (std::int64_t entry = 0; entry < 4; ++entry) {
      at::Tensor change = at::zeros_like(z);
      change.view({5, 4}).select(1, entry) += step;
      const at::Tensor slope = (log_density(mixture, test::schedule_of(*prior), z + change, time) -
                                log_density(mixture, test::schedule_of(*prior), z - change, time)) /
                               (2 * step);
      const at::Tensor expected = -test::level_at(*prior, time).noise * slope;
      EXPECT_TRUE(at::allclose(noise.reshape({5, 4}).select(1, entry), expected, 1e-6, 1e-7))
          << time << " " << entry;
    }
  }
}

TEST_P(MixtureScore, PullsBackThroughItself) {
  const at::Tensor z = wave(2.3, {2, 1, 2, 2}), cotangent = wave(0.7, {2, 1, 2, 2});
  const auto [noise, pull] = prior->noise_vjp(z, test::level_at(*prior, 200));
  EXPECT_TRUE(at::equal(noise, prior->noise(z, test::level_at(*prior, 200))));
  const at::Tensor gradient = pull(cotangent);
  for (std::int64_t entry = 0; entry < 8; ++entry) {
    at::Tensor change = at::zeros_like(z);
    change.view(-1)[entry] = 1e-5;
    const at::Tensor difference = prior->noise(z + change, test::level_at(*prior, 200)) -
                                  prior->noise(z - change, test::level_at(*prior, 200));
    EXPECT_NEAR(gradient.reshape(-1)[entry].item<double>(),
                (difference * cotangent).sum().item<double>() / 2e-5, 1e-7);
  }
}

INSTANTIATE_TEST_SUITE_P(Covariances, MixtureScore, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Full" : "Diagonal"; });

TEST(GaussianMixture, LinearDecoderHasItsAdjointAndItsInverse) {
  GaussianMixture mixture = full_mixture();
  mixture.decoder = wave(1.1, {12, 4}) + at::eye(12, 4, at::kDouble);
  mixture.offset = wave(0.2, {3, 2, 2});
  const auto prior = make_gaussian_mixture(mixture, at::kDouble);
  EXPECT_EQ(prior->geometry.image_channels, 3);
  EXPECT_EQ(prior->geometry.canvas(2, 2), (Canvas{2, 2, 2, 2}));
  EXPECT_THROW(prior->geometry.canvas(4, 2), DataError);

  const at::Tensor z = wave(0.4, {3, 1, 2, 2}), cotangent = wave(0.6, {3, 3, 2, 2});
  const auto [x, pull] = prior->codec->decode_vjp(z);
  EXPECT_TRUE(at::allclose(
      x.reshape({3, 12}), at::matmul(z.reshape({3, 4}), mixture.decoder.t()) + mixture.offset.reshape({-1})));
  const double forward = ((x - mixture.offset) * cotangent).sum().item<double>();
  EXPECT_NEAR(forward, (pull(cotangent) * z).sum().item<double>(), 1e-12);
  EXPECT_TRUE(at::allclose(prior->codec->encode(x).mean, z, 1e-10, 1e-12));
  const auto encoded = prior->codec->encode_vjp(x);
  EXPECT_TRUE(at::equal(encoded.value, prior->codec->encode(x).mean));
  EXPECT_NEAR((encoded.value * z).sum().item<double>(),
              ((x - mixture.offset) * encoded.pull(z)).sum().item<double>(), 1e-12);
}

TEST(GaussianMixture, WorksInFloat32WithinItsRounding) {
  const auto prior = make_gaussian_mixture(full_mixture(), at::kFloat),
             exact = make_gaussian_mixture(full_mixture(), at::kDouble);
  const at::Tensor z = wave(2.3, {2, 1, 2, 2});
  EXPECT_LE(test::relative_error(prior->noise(z.to(at::kFloat), test::level_at(*prior, 500)),
                                 exact->noise(z, test::level_at(*exact, 500))),
            1e-6);
  EXPECT_EQ(prior->sha256, exact->sha256);
  EXPECT_NE(prior->sha256, make_gaussian_mixture(diagonal_mixture(), at::kFloat)->sha256);
}

TEST(GaussianMixture, RefusesWhatIsNoMixture) {
  const auto refused = [](const std::function<void(GaussianMixture&)>& change, const std::string& word) {
    GaussianMixture mixture = full_mixture();
    change(mixture);
    const std::string message =
        test::message_of<DataError>([&] { make_gaussian_mixture(mixture, at::kDouble); });
    EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  refused([](GaussianMixture& m) { m.weights = m.weights.slice(0, 0, 2); }, "weights");
  refused([](GaussianMixture& m) { m.weights = -m.weights; }, "positive");
  refused([](GaussianMixture& m) { m.means = m.means.flatten(); }, "means");
  refused([](GaussianMixture& m) { m.covariances = -m.covariances; }, "positive definite");
  refused(
      [](GaussianMixture& m) {
        m.covariances = m.covariances.clone();
        m.covariances[0][0][1] += 1.0;
      },
      "symmetric");
  refused([](GaussianMixture& m) { m.covariances = m.covariances / 0.0; }, "finite");
  refused([](GaussianMixture& m) { m.decoder = wave(1, {12, 4}); }, "offset");
  refused(
      [](GaussianMixture& m) {
        m.decoder = wave(1, {12, 5});
        m.offset = wave(1, {3, 2, 2});
      },
      "decoder");
}

}  // namespace
}  // namespace dwgf
