// The guarded device itself: that it punishes what it is to punish, and computes what the CPU computes.
#include <csignal>

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/InferenceMode.h>
#include <support/guarded_memory.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "device_cases.hpp"

namespace dwgf::test {
namespace {

at::Tensor on_device(const at::Tensor& values) {
  return values.to(guarded::device());
}

/// The signal that ends a child process in which `act` is done; 0 where it goes well.
template <class Act>
int signal_of(const Act& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // not MPI's, which prints
    act();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(SerialGuardedDevice, AHostAccessIsASegmentationFault) {
  const at::Tensor values = on_device(waves({100}, at::kFloat));
  auto* const first = static_cast<volatile float*>(values.data_ptr());
  EXPECT_EQ(signal_of([&] { static_cast<void>(first[3]); }), SIGSEGV);
  EXPECT_EQ(signal_of([&] { first[99] = 1.0F; }), SIGSEGV);
  const guarded::Opened opened({values.data_ptr()});
  EXPECT_EQ(signal_of([&] { static_cast<void>(first[3]); }), 0);
  EXPECT_EQ(signal_of([&] { static_cast<void>(first[1024]); }), SIGSEGV) << "beyond the end";
}

TEST(SerialGuardedDevice, AHostTensorAmongDeviceTensorsIsAnErrorAndANumberIsNone) {
  const at::Tensor values = on_device(waves({4, 5}, at::kFloat)), host = waves({4, 5}, at::kFloat);
  EXPECT_THROW(values + host, c10::Error);
  EXPECT_THROW(at::matmul(values, host.t()), c10::Error);
  EXPECT_THROW(at::add_out(const_cast<at::Tensor&>(host), values, values), c10::Error);
  EXPECT_TRUE(at::equal((values * at::scalar_tensor(2.0F)).cpu(), host * 2.0F));
  EXPECT_TRUE(at::equal(values.index({at::tensor({2, 1})}).cpu(), host.index({at::tensor({2, 1})})));
}

TEST(SerialGuardedDevice, CountsWhatAGpuWouldWaitFor) {
  const at::Tensor values = on_device(waves({4, 5}, at::kFloat));
  guarded::reset_counts();
  const at::Tensor sum = (values.view({20}) + 1.0).sum();
  EXPECT_EQ(guarded::counts().operators, 2u);
  EXPECT_EQ(guarded::counts().syncs, 0u);
  EXPECT_GE(guarded::counts().views, 1u);
  static_cast<void>(sum.item<float>());
  static_cast<void>(sum.cpu());
  EXPECT_EQ(guarded::counts().syncs, 2u);
  on_device(waves({3}, at::kFloat));
  EXPECT_EQ(guarded::counts().uploads, 1u);
  EXPECT_EQ(guarded::counts().operator_calls.size(), 2u);
  EXPECT_EQ(guarded::counts().sync_calls.size(), 2u);
}

TEST(SerialGuardedDevice, ViewsAliasAndResultsAreTheCpus) {
  const at::Tensor host = waves({4, 6}, at::kDouble);
  at::Tensor values = on_device(host);
  values.t().slice(0, 1, 3).mul_(2.0);
  at::Tensor expected = host.clone();
  expected.t().slice(0, 1, 3).mul_(2.0);
  EXPECT_TRUE(at::equal(values.cpu(), expected));
  EXPECT_TRUE(at::equal(std::get<0>(values.sort(1)).cpu(), std::get<0>(expected.sort(1))));
  EXPECT_TRUE(at::equal(at::cat({values, values}, 1).cpu(), at::cat({expected, expected}, 1)));
  EXPECT_TRUE(at::equal(at::fft_rfft2(values).abs().cpu(), at::fft_rfft2(expected).abs()));
  at::Tensor into = at::empty({0}, values.options());
  at::matmul_out(into, values, values.t());
  EXPECT_TRUE(at::equal(into.cpu(), at::matmul(expected, expected.t())));
  const c10::InferenceMode inference;
  EXPECT_TRUE(at::equal(values.view({3, 8}).add(1).cpu(), expected.view({3, 8}).add(1)));
}

TEST(SerialGuardedDevice, AutogradWorksThere) {
  const at::Tensor w = waves({4, 3, 3, 3}, at::kFloat), x = waves({2, 3, 8, 8}, at::kFloat, 0.61);
  const auto gradient = [&](const c10::Device& device) {
    const at::Tensor leaf = x.to(device).detach().requires_grad_();
    const at::Tensor y = at::group_norm(at::conv2d(leaf, w.to(device), {}, 1, 1), 2);
    y.square().mul(0.3).sin().sum().backward();
    return leaf.grad().cpu();
  };
  EXPECT_TRUE(at::equal(gradient(guarded::device()), gradient(at::kCPU)));
}

TEST(SerialGuardedDevice, MemoryIsCountedLimitedAndNotZero) {
  auto& memory = guarded::Memory::instance();
  const std::size_t before = memory.in_use(), limit = memory.limit();
  {
    const at::Tensor fresh = at::empty({1000}, at::TensorOptions(at::kFloat).device(guarded::device()));
    EXPECT_TRUE(at::isnan(fresh).all().cpu().item<bool>()) << "what nobody has written";
    EXPECT_GE(memory.in_use(), before + 4000);
    auto* const allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(guarded::device().type()));
    ASSERT_NE(allocator, nullptr);
    EXPECT_EQ(allocator->getDeviceStats(0).allocated_bytes[0].current,
              static_cast<std::int64_t>(memory.in_use()));
  }
  EXPECT_EQ(memory.in_use(), before);
  memory.set_limit(before + 8192);
  EXPECT_THROW(at::empty({10000}, at::TensorOptions(at::kFloat).device(guarded::device())), c10::Error);
  memory.set_limit(limit);
}

}  // namespace
}  // namespace dwgf::test
