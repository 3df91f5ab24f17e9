// What an operator makes of its constants is made once, and changes nothing.
#include "operators/made_once.hpp"

#include <operators/operator_cases.hpp>

namespace dwgf::test {
namespace {

TEST(MadeOnce, IsMadeForEveryTypeOnce) {
  const MadeOnce<at::Tensor> made;
  int calls = 0;
  const auto tens = [&](at::ScalarType type) -> const at::Tensor& {
    return made.like(at::empty({1}, type), [&] {
      ++calls;
      return at::full({2}, 10, type);
    });
  };
  const at::Tensor& first = tens(at::kFloat);
  EXPECT_EQ(tens(at::kDouble).scalar_type(), at::kDouble);
  EXPECT_EQ(&tens(at::kFloat), &first);
  EXPECT_EQ(calls, 2);
}

TEST(MadeOnce, ABlursSpectrumServesEveryCallAlike) {
  for (const char* spec : {"motion:5,30", "motion:5,30,zero", "defocus:2.7,circular"}) {
    const OperatorCase one{spec, {3, 18, 24}};
    const auto used = make(one);
    for (const auto type : {at::kFloat, at::kDouble}) {
      const at::Tensor x = image_batch(2, one.shape, 1).to(type);
      const at::Tensor y = used->apply(x), z = used->pull_back(x, y);
      EXPECT_TRUE(at::equal(make(one)->apply(x), y)) << spec;
      EXPECT_TRUE(at::equal(used->apply(x), y)) << spec;
      EXPECT_TRUE(at::equal(used->pull_back(x, y), z)) << spec;
    }
  }
}

TEST(MadeOnce, RadonsTablesThatAreTooLargeToKeepGiveTheSame) {
  // In float64 those of 300 views take 69 MiB, those of 100 views a third.
  const ImageShape shape{1, 64, 64};
  const auto large = make({"radon:300", shape}), kept = make({"radon:100", shape});
  const at::Tensor x = image_batch(2, shape, 1);
  const at::Tensor y = large->apply(x);  // [2, 1, 300, D]
  EXPECT_LT(largest_difference(y.slice(2, 0, 300, 3), kept->apply(x)), 1e-12);
  const at::Tensor r = normals(2, large->measurement_shape(), 2);
  const at::Tensor z = large->pull_back(x, r);
  EXPECT_NEAR((y * r).sum().item<double>(), (x * z).sum().item<double>(),
              1e-12 * (y.norm() * r.norm()).item<double>());
  // In float32 they are kept, and round to float32 what is the same in float64.
  EXPECT_LT(largest_difference(large->apply(x.to(at::kFloat)).to(at::kDouble), y), 1e-5);
  EXPECT_LT(largest_difference(large->pull_back(x, r.to(at::kFloat)).to(at::kDouble), z), 1e-4);
}

/// Twice the image, and counts.
class Doubling final : public LinearOperator {
 public:
  at::Tensor apply(const at::Tensor& x) const override {
    ++calls;
    return 2 * x;
  }
  at::Tensor adjoint(const at::Tensor& r) const override { return 2 * r; }
  std::vector<std::int64_t> measurement_shape() const override { return {1, 2, 3}; }
  mutable int calls = 0;
};

TEST(MadeOnce, TheSquaredNormIsFoundOnce) {
  const Doubling doubling;
  EXPECT_NEAR(doubling.squared_norm({1, 2, 3}), 4.0, 1e-12);
  const int calls = doubling.calls;
  EXPECT_NEAR(doubling.squared_norm({1, 2, 3}), 4.0, 1e-12);
  EXPECT_EQ(doubling.calls, calls);
}

}  // namespace
}  // namespace dwgf::test
