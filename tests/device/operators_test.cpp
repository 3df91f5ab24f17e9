// Every forward operator on the guarded device against the CPU: the same operators of LibTorch on the same
// values, so the same bits.
#include <operators/operator_cases.hpp>

#include "device_cases.hpp"

namespace dwgf::test {
namespace {

TEST(SerialDeviceOperators, ApplyAndPullBackAreTheCpusBits) {
  for (const OperatorCase& one : all_cases()) {
    SCOPED_TRACE(one);
    const auto forward = make(one);
    const at::Tensor x = image_batch(2, one.shape, 1).to(at::kFloat);
    const at::Tensor r = normals(2, forward->measurement_shape(), 2).to(at::kFloat);
    const at::Tensor on_device = x.to(guarded::device());
    EXPECT_TRUE(at::equal(forward->apply(on_device).cpu(), forward->apply(x)));
    EXPECT_TRUE(
        at::equal(forward->pull_back(on_device, r.to(guarded::device())).cpu(), forward->pull_back(x, r)));
  }
}

TEST(SerialDeviceOperators, NoiseModelsAreTheCpusBits) {
  const auto forward = make({"mean:2", {3, 8, 8}});
  const at::Tensor a = image_batch(2, {3, 4, 4}, 1), y = image_batch(1, {3, 4, 4}, 2)[0];
  for (const char* spec : {"gaussian", "poisson:30", "uniform:0.1"}) {
    const auto noise = make_noise_model(spec, std::string(spec).starts_with("poisson") ? 0.0 : 0.1, *forward);
    const at::Tensor there = a.to(guarded::device());
    const auto equal = [](const at::Tensor& found, const at::Tensor& expected) {
      return relative_difference(found, expected) < 1e-15;
    };
    EXPECT_TRUE(equal(noise->log_likelihood(there, y), noise->log_likelihood(a, y))) << spec;
    EXPECT_TRUE(equal(noise->log_likelihood_gradient(there, y), noise->log_likelihood_gradient(a, y)))
        << spec;
    EXPECT_TRUE(equal(noise->information(there), noise->information(a))) << spec;
  }
}

}  // namespace
}  // namespace dwgf::test
