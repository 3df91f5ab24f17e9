// Whole solves on the guarded device against the CPU: every preset, interaction and method.
#include <ATen/Parallel.h>

#include <dwgf/comm/mpi.hpp>

#include "device_cases.hpp"
#include "flow/draws.hpp"
#include "flow/snapshot.hpp"
#include "posterior/stein.hpp"

namespace dwgf::test {
namespace {

class SerialDeviceMethods : public testing::Test {
 protected:
  static void SetUpTestSuite() { at::set_num_threads(1); }

  static Solution solved(const DeviceCase& one, const c10::Device& device, at::ScalarType type) {
    const auto prior = small_prior(device, type, one.prior, one.codec);
    SelfCollective self;
    return solve(SmallProblem(*prior).problem(), options_of(one, 3), self);
  }
};

TEST_F(SerialDeviceMethods, AgreeWithTheCpuToRounding) {
  for (const DeviceCase& one : device_cases()) {
    SCOPED_TRACE(one.name);
    const Solution expected = solved(one, at::kCPU, at::kDouble),
                   found = solved(one, guarded::device(), at::kDouble);
    ASSERT_EQ(found.state.batches.size(), expected.state.batches.size());
    for (std::size_t b = 0; b < found.state.batches.size(); ++b) {
      EXPECT_EQ(found.state.batches[b].z.device(), guarded::device());
      EXPECT_LT(relative_difference(found.state.batches[b].z, expected.state.batches[b].z), 1e-7);
    }
    for (std::size_t q = 0; q < expected.diagnostics.series.size(); ++q) {
      for (std::size_t k = 0; k < expected.diagnostics.series[q].size(); ++k) {
        const double value = expected.diagnostics.series[q][k];
        EXPECT_NEAR(found.diagnostics.series[q][k], value, 1e-6 * (1 + std::abs(value)));
      }
    }
  }
}

TEST_F(SerialDeviceMethods, TheSameBitsEveryTime) {
  for (const DeviceCase& one : device_cases()) {
    const Solution first = solved(one, guarded::device(), at::kFloat),
                   second = solved(one, guarded::device(), at::kFloat);
    for (std::size_t b = 0; b < first.state.batches.size(); ++b)
      EXPECT_TRUE(at::equal(first.state.batches[b].z.cpu(), second.state.batches[b].z.cpu())) << one.name;
  }
}

TEST_F(SerialDeviceMethods, DrawsAreTheCpusBits) {
  for (const DrawAddress& address :
       {DrawAddress{7, 3, 2, 11, Purpose::noising},
        {~std::uint64_t{0}, 0xFEDCBA9876543210, 9, 0xFFFFFFFF, Purpose::encoder}}) {
    EXPECT_TRUE(at::equal(philox_words(3, 5, address, guarded::device()).cpu(),
                          philox_words(3, 5, address, at::kCPU)));
    const at::Tensor like = at::empty({3, 4, 7}, at::kFloat);
    EXPECT_TRUE(
        at::equal(normals_like(like.to(guarded::device()), address).cpu(), normals_on_device(like, address)));
  }
}

TEST_F(SerialDeviceMethods, ASnapshotOfADeviceGoesOnThereWithTheSameBits) {
  SelfCollective self;
  const DeviceCase one = device_cases()[0];
  Monitor monitor(options_of(one, 3), 3, self);
  Solution solution = solved(one, guarded::device(), at::kFloat);
  const Snapshot snapshot = take_snapshot(solution.state, monitor);
  FlowState other = solution.state;
  for (ParticleBatch& batch : other.batches) batch.z = at::zeros_like(batch.z);
  go_on_from(snapshot, other);
  for (std::size_t b = 0; b < other.batches.size(); ++b) {
    EXPECT_EQ(other.batches[b].z.device(), guarded::device());
    EXPECT_TRUE(at::equal(other.batches[b].z.cpu(), solution.state.batches[b].z.cpu()));
  }
}

TEST_F(SerialDeviceMethods, TheSteinDiscrepancyAgreesWithTheCpu) {
  SelfCollective self;
  const auto value = [&](const c10::Device& device) {
    const auto prior = small_prior(device, at::kDouble);
    return stein_discrepancy(SmallProblem(*prior).problem(),
                             solved(device_cases()[0], device, at::kDouble).state, 0.05, self)
        .value;
  };
  const double expected = value(at::kCPU);
  EXPECT_NEAR(value(guarded::device()), expected, 1e-5 * std::abs(expected));
}

}  // namespace
}  // namespace dwgf::test
