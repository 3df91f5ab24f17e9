// A blur that is estimated with the image.
#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/comm/mpi.hpp>
#include <dwgf/flow/solve.hpp>

#include "flow/draws.hpp"
#include "flow/unknowns/blur.hpp"
#include "flow/unknowns/noise_level.hpp"
#include "flow/unknowns/simplex_least_squares.hpp"
#include "operators/kernel_blur.hpp"
#include "support/known_images.hpp"

namespace dwgf {
namespace {

at::Tensor normals(at::IntArrayRef shape, std::uint32_t stream) {
  return normals_like(at::empty(shape, at::kDouble).unsqueeze(0), {43, 0, stream, 0, Purpose::init})
      .squeeze(0);
}

std::vector<double> values_of(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

double largest_difference(const std::vector<double>& one, const std::vector<double>& other) {
  double most = one.size() == other.size() ? 0.0 : 1e300;
  for (std::size_t k = 0; k < std::min(one.size(), other.size()); ++k)
    most = std::max(most, std::abs(one[k] - other[k]));
  return most;
}

/// What a flow makes of an operator's unknown where all particles are `image`.
UnknownEstimate estimated(const char* open, const at::Tensor& image, const at::Tensor& y) {
  const ImageShape shape{image.size(0), image.size(1), image.size(2)};
  const OpenBlur blur = open_blur(open, {shape});
  const auto start = blur.with(blur.kernel(blur.start()));
  const auto prior = test::white_prior(shape);
  const Unknowns unknowns{make_unknown_blur(blur)};
  test::KnownImages::image = image;
  Communicator world = Communicator::world();
  FlowObserver nobody;
  const Problem problem{*prior, *start, y, shape, 0, nullptr, nullptr, &unknowns};
  const FlowOptions options{.particles = 4, .steps = 2, .micro_batch = 1};
  return solve(problem, options, test::kKnownImages, {world, world}, nobody).estimates.at(0);
}

TEST(UnknownBlur, OfKnownImagesIsTheKernelThatBlurredThem) {
  // y in float64 here: a measurement's own rounding would be what is seen.
  const at::Tensor image = normals({1, 20, 24}, 1);
  const OpenBlur any = open_blur("kernel:?5,circular", {{1, 20, 24}});
  const at::Tensor kernel = at::relu(normals({5, 5}, 2)) / at::relu(normals({5, 5}, 2)).sum();
  ASSERT_EQ(kernel.numel() - kernel.count_nonzero().item<std::int64_t>(),
            (kernel == 0).sum().item<std::int64_t>());
  for (const char* spec : {"kernel:?5", "kernel:?5,circular", "kernel:?5,zero", "kernel:?5 | mean:2",
                           "box:3,3,4,4 | kernel:?5,zero"}) {
    SCOPED_TRACE(spec);
    const OpenBlur open = open_blur(spec, {{1, 20, 24}});
    const at::Tensor y = open.with(kernel)->apply(image.unsqueeze(0)).squeeze(0);
    EXPECT_LT(largest_difference(estimated(spec, image, y).value, values_of(kernel)), 1e-6);
  }
}

TEST(UnknownBlur, OfKnownImagesHasTheParametersThatTheyWereBlurredBy) {
  const at::Tensor image = normals({1, 20, 24}, 1);
  struct Case {
    const char *open, *closed;
    std::vector<double> value;
  };
  for (const Case& one :
       {Case{"blur:9,?", "blur:9,1.7", {1.7}}, Case{"motion:?,?", "motion:9,37", {9, 37}},
        Case{"motion:?,?", "motion:7,178.5", {7, 178.5}}, Case{"motion:7,?", "motion:7,100", {100}},
        Case{"motion:?,15", "motion:5,15", {5}}, Case{"defocus:?4", "defocus:2.3", {2.3}},
        Case{"blur:5,?0.5..2 | mean:2", "blur:5,1.1 | mean:2", {1.1}}}) {
    SCOPED_TRACE(one.open);
    const at::Tensor y = make_operator(one.closed, {{1, 20, 24}})->apply(image.unsqueeze(0)).squeeze(0);
    EXPECT_LT(largest_difference(estimated(one.open, image, y).value, one.value), 1e-6);
  }
}

TEST(UnknownBlur, StaysWithinItsBounds) {
  const at::Tensor image = normals({1, 20, 24}, 1);
  const at::Tensor y = make_operator("blur:9,2.5", {{1, 20, 24}})->apply(image.unsqueeze(0)).squeeze(0);
  EXPECT_EQ(estimated("blur:9,?0.5..1.5", image, y).value, std::vector<double>{1.5});
}

/// |y - A(x)|^2 / (2 m) for an operator.
double misfit(const ForwardOperator& forward, const at::Tensor& image, const at::Tensor& y) {
  return misfit_of(forward.apply(image.unsqueeze(0)) - y, forward)[0].item<double>();
}

TEST(UnknownBlur, HasTheGradientThatDifferencesOfTheMisfitHave) {
  const ImageShape shape{3, 14, 12};
  const at::Tensor image = normals({3, 14, 12}, 5);
  for (const char* spec :
       {"kernel:?5", "kernel:?3,circular | mean:2", "motion:?,?", "blur:7,?", "defocus:?3"}) {
    SCOPED_TRACE(spec);
    const OpenBlur open = open_blur(spec, {shape});
    std::vector<double> value = open.start();
    if (open.name == "motion") value = {6.3, 34.0};
    const auto forward = open.with(open.kernel(value));
    const at::Tensor y = normals(forward->measurement_shape(), 6);
    const ProblemParts parts{forward, nullptr, 0.0};
    const at::Tensor sums =
        make_unknown_blur(open)->statistics_of({image.unsqueeze(0), y.unsqueeze(0), parts})[0];
    const std::int64_t n = open.blur.size * open.blur.size;
    const KernelMisfit found{sums.slice(0, 0, n * n).view({n, n}), sums.slice(0, n * n)};
    const at::Tensor gradient = found.gradient(open.kernel(value).flatten());
    const at::Tensor expected =
        open.name == "kernel" ? gradient : at::mv(kernel_derivatives(open.blur, value), gradient);
    constexpr double step = 1e-4;
    for (std::size_t k = 0; k < value.size(); k += 1 + value.size() / 5) {
      std::vector<double> low = value, high = value;
      low[k] -= step;
      high[k] += step;
      const double slope =
          (misfit(*open.with(open.kernel(high)), image, y) - misfit(*open.with(open.kernel(low)), image, y)) /
          (2 * step);
      EXPECT_NEAR(expected[static_cast<std::int64_t>(k)].item<double>(), slope,
                  1e-5 * std::abs(slope) + 1e-9);
    }
  }
}

TEST(LeastSquaresOnSimplex, MeetsTheConditionsOfAMinimum) {
  for (std::uint32_t draw = 0; draw < 20; ++draw) {
    const std::int64_t n = 5 + 7 * (draw % 4);
    const at::Tensor factor = normals({n + static_cast<std::int64_t>(draw), n}, draw);
    const at::Tensor h = at::matmul(factor.t(), factor) / static_cast<double>(n),
                     b = normals({n}, 100 + draw);
    const at::Tensor k =
        least_squares_on_simplex(h, b, at::full({n}, 1.0 / static_cast<double>(n), at::kDouble));
    EXPECT_NEAR(k.sum().item<double>(), 1.0, 1e-12);
    EXPECT_GE(k.min().item<double>(), 0.0);
    const at::Tensor slope = b - at::mv(h, k);
    const double level =
        at::dot(slope, k).item<double>();  // the same along all that is above 0, less elsewhere
    EXPECT_LE(slope.max().item<double>(), level + 1e-8);
    EXPECT_LE((at::where(k > 0, slope - level, 0.0)).abs().max().item<double>(), 1e-8);
  }
}

TEST(UnknownBlur, AndTheNoiseHaveTheSameBitsOnEveryLayoutOfRanks) {
  const ImageShape shape{1, 12, 12};
  const auto prior = test::white_prior(shape);
  const OpenBlur open = open_blur("kernel:?3", {shape});
  const auto start = open.with(open.kernel(open.start()));
  const at::Tensor y = normals({1, 12, 12}, 9).to(at::kFloat);
  const auto noise = make_noise_model("gaussian", 0.3, *start);
  const Unknowns unknowns{make_unknown_blur(open), make_unknown_noise_level(0.3)};
  const Problem problem{*prior, *start, y, shape, 0, noise.get(), nullptr, &unknowns};
  for (const Method method : {Method::dwgf, Method::gibbs, Method::rlsd}) {
    FlowOptions options{.method = method, .particles = 5, .grid = 9, .micro_batch = 2};
    options.data = {.objective = Objective::bayes, .consistency = 0.0};
    options.interaction.kind = method == Method::rlsd ? InteractionKind::none : InteractionKind::gaussian;
    options.rate = 0.1;
    Communicator world = Communicator::world();
    SelfCollective self;
    const Solution shared = solve(problem, options, world), alone = solve(problem, options, self);
    ASSERT_EQ(shared.estimates.size(), 2u);
    for (std::size_t u = 0; u < 2; ++u) {
      EXPECT_EQ(shared.estimates[u].value, alone.estimates[u].value);
      EXPECT_EQ(shared.estimates[u].spread, alone.estimates[u].spread);
      EXPECT_EQ(shared.estimates[u].trace, alone.estimates[u].trace);
    }
  }
}

}  // namespace
}  // namespace dwgf
