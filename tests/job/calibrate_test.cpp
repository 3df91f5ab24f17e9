// Moments measured by the command, against those of a prior whose moments are known; the same bits on every
// number of ranks and after an end in the middle.
#include "job/calibrate.hpp"

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <dwgf/prior/families/gaussian_mixture.hpp>

#include "comm/throw_on_all.hpp"
#include "data/npy.hpp"
#include "job/build.hpp"
#include "job/calibration_parts.hpp"
#include "prior/moments.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

/// z ~ N(m, S) of [1, 4, 4], x = M z + b of [1, 8, 8]: a latent pixel's image is 2 x 2 pixels.
struct LinearGaussian {
  LinearGaussian() {
    at::manual_seed(11);
    const at::Tensor root = at::randn({16, 16}, at::kDouble) / 4 + 0.5 * at::eye(16, at::kDouble);
    covariance = at::matmul(root, root.t());
    mean = 0.3 * at::randn({16}, at::kDouble);
    decoder = 0.03 * at::randn({64, 16}, at::kDouble);
    offset = 0.05 * at::randn({64}, at::kDouble);
  }

  GaussianMixture mixture() const {
    return {.weights = at::ones({1}, at::kDouble),
            .means = mean.view({1, 1, 4, 4}),
            .covariances = covariance.unsqueeze(0),
            .decoder = decoder,
            .offset = offset.view({1, 8, 8}),
            .schedule = {}};
  }

  /// The map from latents to (z, x) as cells lay them out, [80, 16]: z, then the pixels of every place in one
  /// place of their 2 x 2 after the other.
  at::Tensor joint() const {
    const at::Tensor pixels =
        at::pixel_unshuffle(decoder.t().reshape({16, 1, 8, 8}), 2).flatten(1).t();  // [64, 16]
    return at::cat({at::eye(16, at::kDouble), pixels});
  }

  /// E[(z - z0, x - D(z0)) (...)^T] at a level: the posterior's covariance, through the decoder.
  at::Tensor errors(const Level& level) const {
    const double a = level.signal, s = level.noise;
    const at::Tensor noised = a * a * covariance + s * s * at::eye(16, at::kDouble);
    const at::Tensor left =
        covariance - a * a * at::matmul(covariance, at::matmul(at::inverse(noised), covariance));
    return at::matmul(joint(), at::matmul(left, joint().t()));
  }

  at::Tensor mean, covariance, decoder, offset;
};

/// The mixture as a file, and images of it.
class CalibrateTest : public testing::Test {
 protected:
  static constexpr std::int64_t kImages = 2000;

  CalibrateTest() {
    if (world.rank() == 0) {
      fs::create_directories(folder);
      write_prior();
      at::manual_seed(5);
      const at::Tensor z = gaussian.mean + at::matmul(at::randn({kImages, 16}, at::kDouble),
                                                      at::linalg_cholesky(gaussian.covariance).t());
      images = (at::matmul(z, gaussian.decoder.t()) + gaussian.offset).to(at::kFloat).contiguous();
      write_images("x.npy", images);
    }
    world.barrier();
  }
  ~CalibrateTest() override {
    world.barrier();
    if (world.rank() == 0) fs::remove_all(folder);
  }

  std::string path(const std::string& name) const { return (folder / name).string(); }

  void write_prior() const {
    const GaussianMixture mixture = gaussian.mixture();
    const hid_t file = H5Fcreate(path("prior.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    for (const auto& [name, tensor] : {std::pair{"weights", mixture.weights},
                                       {"means", mixture.means},
                                       {"covariances", mixture.covariances},
                                       {"decoder", mixture.decoder},
                                       {"offset", mixture.offset}}) {
      const std::vector<hsize_t> shape(tensor.sizes().begin(), tensor.sizes().end());
      const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
      const hid_t set = H5Dcreate2(file, name, H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.contiguous().data_ptr<double>());
      H5Dclose(set);
      H5Sclose(space);
    }
    H5Fclose(file);
  }

  void write_images(const std::string& name, const at::Tensor& x) const {
    write_npy(path(name), {x.size(0), 1, 8, 8}, {x.data_ptr<float>(), x.data_ptr<float>() + x.numel()});
  }

  Settings settings(std::vector<std::string> arguments) const {
    const std::vector<std::string> common{"--prior.path", path("prior.h5"), "--run.device", "cpu"};
    arguments.insert(arguments.begin(), common.begin(), common.end());
    return parse_settings(*find_command("calibrate-prior"), arguments);
  }

  ExitCode run(Communicator& ranks, const std::vector<std::string>& arguments) {
    ScopedSignals signals;
    return calibrate(ranks, settings(arguments), signals);
  }

  std::string refusal(const std::vector<std::string>& arguments) {
    try {
      run(world, arguments);
    } catch (const Error& error) {
      return error.what();
    }
    return "none";
  }

  Communicator world = Communicator::world();
  fs::path folder = "calibrate-test";
  LinearGaussian gaussian;
  at::Tensor images;
};

/// J of a file's parts, a column at a time: [80, 80].
at::Tensor dense(const JointMoments& moments) {
  const at::Tensor unit = at::eye(80).view({80, 5, 4, 4});
  return JointCovariance({{1.0, moments}}).times(unit).flatten(1).to(at::kDouble);
}

/// Whether a second moment of `count` samples is what it should be: each entry within 6 of its standard
/// deviations, sqrt((J_ii J_jj + J_ij^2) / count), and the rounding of a file.
void expect_sampled(const at::Tensor& found, const at::Tensor& expected, std::int64_t count) {
  const at::Tensor variance = expected.diagonal();
  const at::Tensor deviation =
      ((at::outer(variance, variance) + expected.square()) / static_cast<double>(count)).sqrt();
  const at::Tensor limit = 6 * deviation + 2e-3 * at::outer(variance, variance).sqrt() + 1e-6;
  EXPECT_LT(((found - expected).abs() / limit).max().item<double>(), 1.0);
}

TEST_F(CalibrateTest, MeasuresTheMomentsOfALinearGaussianPrior) {
  ASSERT_EQ(run(world, {"--input.data", path("x.npy"), "--to", path("m.safetensors"), "--mix", "0"}),
            ExitCode::ok);
  const PriorMoments moments = read_moments(path("m.safetensors"));
  const auto prior = load_prior(path("prior.h5"));
  ASSERT_EQ(moments.levels().size(), 8u);
  for (const auto& measured : moments.levels()) {
    SCOPED_TRACE(measured.log_ratio);
    const Level level = prior->path->nearest(measured.log_ratio);
    EXPECT_NEAR(std::log(level.noise / level.signal), measured.log_ratio, 1e-6);
    expect_sampled(dense(measured.moments), gaussian.errors(level), kImages);
  }
  const at::Tensor joint = gaussian.joint();
  const at::Tensor covariance = at::matmul(joint, at::matmul(gaussian.covariance, joint.t()));
  expect_sampled(dense(moments.covariance()), covariance, kImages);
  const at::Tensor pixels = at::pixel_unshuffle(gaussian.offset.view({1, 1, 8, 8}), 2).flatten();
  const at::Tensor mean = at::matmul(joint, gaussian.mean) + at::cat({at::zeros({16}, at::kDouble), pixels});
  const at::Tensor deviation = (covariance.diagonal() / static_cast<double>(kImages)).sqrt();
  EXPECT_LT(((moments.mean().flatten() - mean).abs() / (6 * deviation + 1e-6)).max().item<double>(), 1.0);
  EXPECT_EQ(moments.about().at("prior_sha256"), prior->sha256);
  EXPECT_EQ(moments.about().at("images"), "2000");
}

TEST_F(CalibrateTest, GivesTheSameBitsOnEveryNumberOfRanks) {
  for (const std::string form : {"full", "shift-invariant"}) {
    const std::vector<std::string> common{"--input.data", path("x.npy"), "--input.count", "200",
                                          "--batch",      "32",          "--form",        form,
                                          "--levels",     "-1,1"};
    const auto to = [&](const std::string& name) {
      std::vector<std::string> arguments = common;
      arguments.insert(arguments.end(), {"--to", path(name)});
      return arguments;
    };
    ASSERT_EQ(run(world, to("all")), ExitCode::ok);
    Communicator self = Communicator::self();
    if (world.rank() == 0) {
      ASSERT_EQ(run(self, to("one")), ExitCode::ok);
      EXPECT_EQ(bytes_of(path("all")), bytes_of(path("one"))) << form;
      EXPECT_GT(bytes_of(path("all")).size(), 1000u);
    }
    world.barrier();
  }
}

TEST_F(CalibrateTest, GoesOnFromWhereItWasStopped) {
  const std::vector<std::string> arguments{"--input.data", path("x.npy"), "--input.count", "200",
                                           "--levels",     "-1,1",        "--to",          path("m")};
  ASSERT_EQ(run(world, arguments), ExitCode::ok);
  const std::string expected = bytes_of(path("m"));
  world.barrier();
  {
    ScopedSignals signals;
    if (world.rank() == world.size() - 1) std::raise(SIGUSR1);
    ASSERT_EQ(calibrate(world, settings(arguments), signals), ExitCode::stopped);
  }
  world.barrier();
  EXPECT_TRUE(fs::exists(path("m.part-0")));
  ASSERT_EQ(run(world, arguments), ExitCode::ok);
  EXPECT_EQ(bytes_of(path("m")), expected);
  EXPECT_FALSE(fs::exists(path("m.part-0")));
}

/// What was summed before an end in the middle is not measured again.
TEST_F(CalibrateTest, SerialGoesOnFromItsLastCheckpoint) {
  const std::vector<std::string> arguments{"--input.data", path("y.npy"), "--batch",
                                           "64",           "--levels",    "-1,1",
                                           "--to",         path("m"),     "--run.checkpoint_seconds",
                                           "1e-6"};
  const at::Tensor whole = images.narrow(0, 0, 256).contiguous();
  write_images("y.npy", whole);
  ASSERT_EQ(run(world, arguments), ExitCode::ok);
  const std::string expected = bytes_of(path("m"));
  at::Tensor broken = whole.clone();
  broken[150].fill_(3.0f);
  write_images("y.npy", broken);
  EXPECT_NE(refusal(arguments).find("has the value 3"), std::string::npos);
  at::Tensor rest = whole.clone();
  rest.narrow(0, 0, 128).zero_();  // of the two blocks that are in the checkpoint
  write_images("y.npy", rest);
  ASSERT_EQ(run(world, arguments), ExitCode::ok);
  EXPECT_EQ(bytes_of(path("m")), expected);
}

TEST_F(CalibrateTest, MeasuresOnThePriorsOwnSamples) {
  ASSERT_EQ(run(world, {"--samples", "500", "--to", path("own"), "--levels", "0"}), ExitCode::ok);
  const PriorMoments moments = read_moments(path("own"));
  const auto prior = load_prior(path("prior.h5"));
  const Level level = prior->path->nearest(0.0);
  const double found = dense(moments.levels()[0].moments).diagonal().sum().item<double>(),
               expected = gaussian.errors(level).diagonal().sum().item<double>();
  EXPECT_NEAR(found / expected, 1.0, 0.2);
  EXPECT_EQ(moments.about().at("source"), "500 samples of the prior's own");
}

TEST_F(CalibrateTest, SaysWhatIsWrong) {
  EXPECT_NE(refusal({"--to", path("m")}).find("input.data is not set"), std::string::npos);
  EXPECT_NE(refusal({"--input.data", path("x.npy"), "--samples", "9", "--to", path("m")}).find("--samples"),
            std::string::npos);
  EXPECT_NE(refusal({"--input.data", path("x.npy"), "--input.first", "2000", "--to", path("m")})
                .find("behind the last image"),
            std::string::npos);
  EXPECT_NE(refusal({"--input.data", path("x.npy"), "--to", path("none/m")}).find("none is not there"),
            std::string::npos);
  EXPECT_NE(refusal({"--samples", "9", "--size", "8", "--to", path("m")}).find("one size only"),
            std::string::npos);
}

TEST_F(CalibrateTest, MomentsAreOfOnePriorOnly) {
  ASSERT_EQ(run(world, {"--input.data", path("x.npy"), "--input.count", "64", "--levels", "0"}),
            ExitCode::ok);
  PriorInput input{.path = path("prior.h5")};
  const std::string sha256 = load_prior(path("prior.h5"))->sha256;
  EXPECT_TRUE(prior_moments(input, sha256).has_value());  // beside the prior, where it was written by default
  EXPECT_THROW(prior_moments(input, "another"), DataError);
  input.moments = path("none");
  EXPECT_THROW(prior_moments(input, sha256), NotFoundError);
  input.moments.clear();
  world.barrier();
  if (world.rank() == 0) fs::remove(moments_file(input.path));
  world.barrier();
  EXPECT_FALSE(prior_moments(input, sha256).has_value());
}

}  // namespace
}  // namespace dwgf
