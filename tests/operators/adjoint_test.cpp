// What an inverse problem needs of its operator: the adjoint, the derivative, and independence of the batch.
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <operators/operator_cases.hpp>

namespace dwgf::test {
namespace {

TEST(LinearOperator, HasItsAdjoint) {
  for (const OperatorCase& one : linear_cases()) {
    const auto forward = make(one);
    ASSERT_TRUE(forward->is_linear()) << one;
    const at::Tensor x = image_batch(2, one.shape, 1);
    const at::Tensor r = normals(2, forward->measurement_shape(), 2);
    const at::Tensor y = forward->apply(x), z = forward->pull_back(x, r);
    ASSERT_EQ(y.sizes(), r.sizes()) << one;
    ASSERT_EQ(z.sizes(), x.sizes()) << one;
    const double left = (y * r).sum().item<double>(), right = (x * z).sum().item<double>();
    EXPECT_NEAR(left, right, 1e-12 * (y.norm() * r.norm()).item<double>()) << one;
  }
}

TEST(LinearOperator, IsLinear) {
  for (const OperatorCase& one : linear_cases()) {
    const auto forward = make(one);
    const at::Tensor a = image_batch(1, one.shape, 1), b = image_batch(1, one.shape, 2);
    const at::Tensor expected = 2 * forward->apply(a) - 3 * forward->apply(b);
    EXPECT_LT(largest_difference(forward->apply(2 * a - 3 * b), expected),
              1e-14 * (1 + expected.abs().max().item<double>()))
        << one;
  }
}

TEST(ForwardOperator, PullsBackItsDerivative) {
  std::vector<OperatorCase> cases = nonlinear_cases();
  for (const OperatorCase& one : {OperatorCase{"blur:5,1.2", {3, 9, 15}}, OperatorCase{"mean:3", {1, 9, 15}},
                                  OperatorCase{"blur:3,1 | grey | random:0.2", {3, 9, 15}}})
    cases.push_back(one);
  for (const OperatorCase& one : cases) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(2, one.shape, 1), direction = image_batch(2, one.shape, 3);
    const at::Tensor r = normals(2, forward->measurement_shape(), 2);
    constexpr double step = 1e-6;
    const at::Tensor change =
        (forward->apply(x + step * direction) - forward->apply(x - step * direction)) / (2 * step);
    const double expected = (change * r).sum().item<double>();
    const double found = (forward->pull_back(x, r) * direction).sum().item<double>();
    EXPECT_NEAR(found, expected, 1e-7 * (1 + (change.norm() * r.norm()).item<double>())) << one;
  }
}

TEST(ForwardOperator, PushesForwardWhatItPullsBack) {
  std::vector<OperatorCase> cases = nonlinear_cases();
  for (const OperatorCase& one : linear_cases()) cases.push_back(one);
  for (const OperatorCase& one : straight_through_cases()) cases.push_back(one);
  for (const OperatorCase& one : cases) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(2, one.shape, 1), direction = image_batch(2, one.shape, 3);
    const at::Tensor r = normals(2, forward->measurement_shape(), 2);
    const at::Tensor change = forward->push_forward(x, direction);
    EXPECT_NEAR((change * r).sum().item<double>(),
                (forward->pull_back(x, r) * direction).sum().item<double>(),
                1e-12 * (1 + (change.norm() * r.norm()).item<double>()))
        << one;
  }
}

TEST(ForwardOperator, PullBackAgreesWithAutogradOfApply) {
  std::vector<OperatorCase> cases = nonlinear_cases();
  for (const OperatorCase& one : linear_cases()) cases.push_back(one);
  for (const OperatorCase& one : cases) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(2, one.shape, 1), r = normals(2, forward->measurement_shape(), 2);
    // The default of the base class, whatever the operator overrides.
    const at::Tensor expected = forward->ForwardOperator::pull_back(x, r);
    EXPECT_LT(largest_difference(forward->pull_back(x, r), expected),
              1e-13 * (1 + expected.abs().max().item<double>()))
        << one;
  }
}

TEST(ForwardOperator, StraightThroughPullsBackAsWithoutRounding) {
  for (const OperatorCase& one : straight_through_cases()) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(2, one.shape, 1), r = normals(2, forward->measurement_shape(), 2);
    const std::size_t bar = one.spec.find(" | ");
    const at::Tensor expected =
        bar == std::string::npos ? r : make({one.spec.substr(0, bar), one.shape})->pull_back(x, r);
    EXPECT_TRUE(at::equal(forward->pull_back(x, r), expected)) << one;
    EXPECT_FALSE(forward->is_linear()) << one;
  }
}

/// An operator with nothing but `apply`.
class Cube final : public ForwardOperator {
 public:
  at::Tensor apply(const at::Tensor& x) const override { return x * x * x; }
  bool is_linear() const override { return false; }
  std::vector<std::int64_t> measurement_shape() const override { return {1, 2, 3}; }
};

TEST(ForwardOperator, DefaultPullBackWorksWithoutGradientsAndInInferenceMode) {
  const Cube cube;
  const at::Tensor x = image_batch(2, {1, 2, 3}, 1), r = image_batch(2, {1, 2, 3}, 2);
  const at::Tensor expected = 3 * x * x * r;
  {
    const at::NoGradGuard no_gradients;
    const at::Tensor found = cube.pull_back(x, r);
    EXPECT_LT(largest_difference(found, expected), 1e-14);
    EXPECT_FALSE(found.requires_grad());
    EXPECT_FALSE(x.requires_grad());
  }
  const c10::InferenceMode inference;
  const at::Tensor found = cube.pull_back(x * 1, r * 1);
  EXPECT_LT(largest_difference(found, expected), 1e-14);
  EXPECT_EQ(cube.observed_count(), 6);
}

TEST(ForwardOperator, TreatsABatchAsItsImagesOneByOne) {
  const std::vector<OperatorCase> cases = all_cases();
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    for (const OperatorCase& one : cases) {
      const auto forward = make(one);
      const at::Tensor x = image_batch(3, one.shape, 1).to(type),
                       r = normals(3, forward->measurement_shape(), 2).to(type);
      const at::Tensor y = forward->apply(x), z = forward->pull_back(x, r);
      ASSERT_EQ(y.scalar_type(), type) << one;
      ASSERT_EQ(z.scalar_type(), type) << one;
      for (std::int64_t b = 0; b < 3; ++b) {
        const at::Tensor alone = x.narrow(0, b, 1).clone(), alone_r = r.narrow(0, b, 1).clone();
        EXPECT_TRUE(at::equal(forward->apply(alone), y.narrow(0, b, 1))) << one << ", image " << b;
        EXPECT_TRUE(at::equal(forward->pull_back(alone, alone_r), z.narrow(0, b, 1)))
            << one << ", image " << b;
      }
    }
  }
}

TEST(ForwardOperator, WorksInHalfPrecision) {
  for (const OperatorCase& one :
       {OperatorCase{"mean:3", {3, 9, 15}}, OperatorCase{"blur:5,1.2", {3, 9, 15}},
        OperatorCase{"bicubic:3", {1, 9, 15}}, OperatorCase{"random:0.5", {3, 9, 15}},
        OperatorCase{"grey", {3, 9, 15}}, OperatorCase{"hdr", {3, 9, 15}}, OperatorCase{"phase", {1, 9, 15}},
        OperatorCase{"motion:5,30", {3, 9, 15}}, OperatorCase{"mask:9x15", {3, 9, 15}},
        OperatorCase{"fourier:9x15", {3, 9, 15}}, OperatorCase{"radon:5", {3, 9, 15}},
        OperatorCase{"quantise:65", {3, 9, 15}}, OperatorCase{"jpeg:95", {3, 9, 15}}}) {
    const auto forward = make(one);
    const at::Tensor x = image_batch(2, one.shape, 1), r = normals(2, forward->measurement_shape(), 2);
    for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
      const at::Tensor y = forward->apply(x.to(type)), z = forward->pull_back(x.to(type), r.to(type));
      EXPECT_EQ(y.scalar_type(), type) << one;
      EXPECT_EQ(z.scalar_type(), type) << one;
      EXPECT_LT(largest_difference(y.to(at::kDouble), forward->apply(x)), 0.1) << one;
    }
  }
}

TEST(ForwardOperator, RefusesABatchOfAnotherShape) {
  for (const char* spec :
       {"identity", "box:0,0,1,1", "mean:3", "blur:3,1", "hdr", "phase", "mean:3 | hdr", "motion:3,0",
        "mask:9x15", "fourier:9x15", "radon:3", "matrix:4x405", "quantise:5", "jpeg:5"}) {
    const OperatorCase one{spec, {3, 9, 15}};
    const auto forward = make(one);
    EXPECT_ANY_THROW(forward->apply(image_batch(2, {1, 9, 15}, 1))) << one;
    EXPECT_ANY_THROW(forward->apply(image_batch(2, {3, 15, 9}, 1))) << one;
  }
}

}  // namespace
}  // namespace dwgf::test
