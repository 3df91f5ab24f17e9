// The NCCL backend on a double of its C API, with plain MPI on host memory as the oracle. Every test runs
// with NCCL's stream as early as its events allow and as late as they allow: what is not ordered by an event
// shows in one of the two.
#include "comm/nccl.hpp"

#include <cstring>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "comm/device.hpp"
#include "comm/host_staged.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/watchdog.hpp"
#include "support/nccl_double.hpp"

namespace dwgf {
namespace {

namespace nd = nccl_double;

/// Numbers in device memory.
class DeviceNumbers {
 public:
  explicit DeviceNumbers(std::size_t count)
      : values_(static_cast<std::int64_t*>(nd::allocate(8 * count)), count) {}
  ~DeviceNumbers() { nd::release(values_.data()); }
  DeviceNumbers(const DeviceNumbers&) = delete;
  DeviceNumbers& operator=(const DeviceNumbers&) = delete;

  std::span<std::int64_t> span() { return values_; }
  std::span<std::byte> bytes() { return std::as_writable_bytes(values_); }
  /// A kernel that fills it, on the compute stream.
  void fill(std::int64_t seed) {
    nd::launch(nd::compute_stream(), [values = values_, seed] {
      for (std::size_t k = 0; k < values.size(); ++k) values[k] = number(seed, k);
    });
  }
  static std::int64_t number(std::int64_t seed, std::size_t k) {
    return seed * 1000003 + static_cast<std::int64_t>(k * k) - 500;
  }
  static std::vector<std::int64_t> expected(std::int64_t seed, std::size_t count) {
    std::vector<std::int64_t> values(count);
    for (std::size_t k = 0; k < count; ++k) values[k] = number(seed, k);
    return values;
  }
  /// A kernel that copies it, on the compute stream, and what it copied.
  std::vector<std::int64_t> copy() {
    std::vector<std::int64_t> out(values_.size());
    nd::launch(nd::compute_stream(),
               [values = values_, &out] { std::copy(values.begin(), values.end(), out.begin()); });
    nd::synchronise(nd::compute_stream());
    return out;
  }

 private:
  std::span<std::int64_t> values_;
};

class Nccl : public testing::TestWithParam<nd::Pace> {
 protected:
  void SetUp() override {
    nd::reset(world.handle().value, {"one", "two", "three", "four", "five"}, GetParam());
  }
  void TearDown() override {
    for (const std::string& violation : nd::violations()) ADD_FAILURE() << violation;
    EXPECT_EQ(nd::leaks(), 0);
  }
  NcclCollective connect(double patience = 60) {
    return NcclCollective(world, world.rank(), nd::compute_stream, patience);
  }

  Communicator world = Communicator::world();
};

TEST_P(Nccl, GathersWhatTheComputeStreamHasMadeBeforeAndItReadsTheResultAfter) {
  NcclCollective nccl = connect();
  EXPECT_EQ(nccl.size(), world.size());
  EXPECT_EQ(nccl.rank(), world.rank());
  for (const std::size_t count : {1u, 7u, 1000u}) {
    DeviceNumbers mine(count), all(count * static_cast<std::size_t>(world.size()));
    mine.fill(world.rank());
    nccl.start_all_gather(mine.bytes(), all.bytes())->wait();
    const std::vector<std::int64_t> own = DeviceNumbers::expected(world.rank(), count);
    std::vector<std::int64_t> oracle(count * static_cast<std::size_t>(world.size()));
    EXPECT_EQ(mine.copy(), own);
    const std::vector<std::int64_t> found = all.copy();
    world.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(oracle)));
    EXPECT_EQ(found, oracle);
  }
}

TEST_P(Nccl, GathersInPlace) {
  NcclCollective nccl = connect();
  DeviceNumbers all(5 * static_cast<std::size_t>(world.size()));
  const auto own = all.span().subspan(5 * static_cast<std::size_t>(world.rank()), 5);
  nd::launch(nd::compute_stream(), [own] { std::iota(own.begin(), own.end(), own.size()); });
  nccl.start_all_gather(std::as_bytes(own), all.bytes())->wait();
  for (const std::int64_t first : {0, world.size() - 1})
    EXPECT_EQ(all.copy()[static_cast<std::size_t>(5 * first)], 5);
}

TEST_P(Nccl, ReducesLikeMpi) {
  NcclCollective nccl = connect();
  for (const std::size_t count : {1u, 33u, 5000u}) {
    DeviceNumbers sum(count), largest(count);
    sum.fill(world.rank());
    largest.fill(-world.rank());
    auto summing = nccl.start_all_reduce_sum(sum.span());
    auto comparing = nccl.start_all_reduce_max(largest.span());  // two are under way at once
    summing->wait();
    comparing->wait();
    const std::vector<std::int64_t> found_sum = sum.copy(), found_largest = largest.copy();
    std::vector<std::int64_t> oracle_sum = DeviceNumbers::expected(world.rank(), count);
    std::vector<std::int64_t> oracle_largest = DeviceNumbers::expected(-world.rank(), count);
    world.all_reduce_sum(oracle_sum);
    world.all_reduce_max(oracle_largest);
    EXPECT_EQ(found_sum, oracle_sum);
    EXPECT_EQ(found_largest, oracle_largest);
  }
}

TEST_P(Nccl, AnOperationThatIsNotWaitedForIsStillOrderedBeforeItsBuffersAreReused) {
  NcclCollective nccl = connect();
  DeviceNumbers values(9);
  values.fill(1);
  nccl.start_all_reduce_sum(values.span());
  values.fill(77);  // on the compute stream, so after the operation
  EXPECT_EQ(values.copy(), DeviceNumbers::expected(77, 9));
  nccl.barrier();  // whatever was still to be done is done
  EXPECT_EQ(values.copy(), DeviceNumbers::expected(77, 9)) << "the operation came after the new values";
}

TEST_P(Nccl, BroadcastsFromEveryRootAndWaitsOnTheHost) {
  NcclCollective nccl = connect();
  for (int root = 0; root < world.size(); ++root) {
    DeviceNumbers values(20);
    values.fill(world.rank());
    nccl.broadcast(values.bytes(), root);
    EXPECT_EQ(std::vector<std::int64_t>(values.span().begin(), values.span().end()),
              DeviceNumbers::expected(root, 20))
        << "there without any synchronisation by the caller";
  }
  nccl.barrier();
}

TEST_P(Nccl, AdvanceTellsWhenTheDeviceIsDone) {
  NcclCollective nccl = connect();
  DeviceNumbers values(3);
  values.fill(2);
  const auto pending = nccl.start_all_reduce_max(values.span());
  while (!pending->advance()) {
  }
  EXPECT_EQ(values.span()[0], DeviceNumbers::number(2, 0));
  pending->wait();
  pending->wait();  // nothing left to wait for
}

TEST_P(Nccl, MakesItsCallsInOrder) {
  {
    NcclCollective nccl = connect();
    nccl.barrier();
  }
  std::vector<std::string> order;
  for (const std::string& call : nd::calls()) {
    if (call != "ncclCommGetAsyncError") order.push_back(call);
  }
  std::vector<std::string> expected = {"cudaSetDevice"};
  if (world.rank() == 0) expected.push_back("ncclGetUniqueId");
  for (const char* call :
       {"ncclCommInitRankConfig", "cudaEventRecord", "cudaStreamWaitEvent",  // behind the compute stream
        "ncclAllReduce", "cudaEventRecord",
        "cudaStreamWaitEvent",  // the compute stream behind it
        "ncclCommFinalize", "ncclCommDestroy"})
    expected.push_back(call);
  EXPECT_EQ(order, expected);
  EXPECT_EQ(nd::current_device(), world.rank());
}

TEST_P(Nccl, HostMemoryIsRefusedBeforeNcclSeesIt) {
  NcclCollective nccl = connect();
  std::vector<std::int64_t> host(4);
  EXPECT_THROW(nccl.start_all_reduce_sum(host), InternalError);
  EXPECT_THROW(nccl.broadcast(std::as_writable_bytes(std::span(host)), 0), InternalError);
  EXPECT_THROW(nccl.all_to_all({}, {}), InternalError) << "goes by MPI";
  EXPECT_EQ(nd::count("ncclAllReduce") + nd::count("ncclBroadcast"), 0);
  DeviceNumbers device(1), wrong_size(3 + static_cast<std::size_t>(world.size()));
  EXPECT_THROW(nccl.start_all_gather(device.bytes(), wrong_size.bytes()), InternalError);
}

TEST_P(Nccl, ARankThatCannotConnectIsTheErrorOfAllAndNothingIsLeft) {
  nd::faults().refuse_to_connect = world.rank() == world.size() - 1;
  EXPECT_THROW(connect(), RankError);
}

TEST_P(Nccl, ConnectingHasATimeLimit) {
  nd::faults().never_connect = world.rank() == 0;
  EXPECT_THROW(connect(0.02), RankError);
  EXPECT_EQ(nd::count("ncclCommAbort"), 1) << "on every rank, also where it went well";
}

TEST_P(Nccl, AnotherRanksFailureEndsWaitingAndAbortsOnce) {
  NcclCollective nccl = connect();
  DeviceNumbers values(3);
  values.fill(2);
  auto pending = nccl.start_all_reduce_max(values.span());
  pending->wait();
  values.copy();
  nd::faults().remote_error = true;
  EXPECT_THROW(pending->advance(), RankError);
  EXPECT_THROW(nccl.barrier(), RankError);
  EXPECT_THROW(nccl.start_all_reduce_sum(values.span()), RankError);
  EXPECT_EQ(nd::count("ncclCommAbort"), 1);
}

TEST_P(Nccl, ACollectiveThatFailsToStartAborts) {
  NcclCollective nccl = connect();
  DeviceNumbers values(3);
  nd::faults().fail_to_start = true;
  EXPECT_THROW(nccl.start_all_reduce_sum(values.span()), RankError);
  nd::faults().fail_to_start = false;
  EXPECT_THROW(nccl.barrier(), RankError);
  EXPECT_EQ(nd::count("ncclCommAbort"), 1);
}

TEST_P(Nccl, AnotherThreadMayGiveUp) {
  NcclCollective nccl = connect();
  std::thread([&] { nccl.abort(); }).join();
  DeviceNumbers values(3);
  EXPECT_THROW(nccl.start_all_reduce_sum(values.span()), RankError);
  nccl.abort();
  EXPECT_EQ(nd::count("ncclCommAbort"), 1);
  EXPECT_EQ(nd::count("ncclCommFinalize"), 0);
}

TEST_P(Nccl, AnErrorUnderWayAbortsInsteadOfWaitingForTheOthers) {
  try {
    NcclCollective nccl = connect();
    throw DataError("something else");
  } catch (const DataError&) {
  }
  EXPECT_EQ(nd::count("ncclCommAbort"), 1);
  EXPECT_EQ(nd::count("ncclCommFinalize"), 0);
}

INSTANTIATE_TEST_SUITE_P(EarlyAndLate, Nccl, testing::Values(nd::Pace::eager, nd::Pace::lazy),
                         [](const auto& info) { return info.param == nd::Pace::eager ? "eager" : "lazy"; });

/// The same operations through the host's memory, with the GPU's copies as early or as late as may be.
class Staged : public Nccl {
 protected:
  HostStagedCollective staged() {
    return HostStagedCollective(world, device_backend(), world.rank(), nd::compute_stream);
  }
};

TEST_P(Staged, GathersAndReducesLikeMpi) {
  HostStagedCollective staged = this->staged();
  for (const std::size_t count : {1u, 7u, 1000u, 7u}) {
    DeviceNumbers mine(count), all(count * static_cast<std::size_t>(world.size())), sum(count), most(count);
    mine.fill(world.rank());
    sum.fill(world.rank());
    most.fill(-world.rank());
    auto gathering = staged.start_all_gather(mine.bytes(), all.bytes());
    auto summing = staged.start_all_reduce_sum(sum.span());
    auto comparing = staged.start_all_reduce_max(most.span());  // three are under way at once
    comparing->wait();
    gathering->wait();
    summing->wait();
    const std::vector<std::int64_t> own = DeviceNumbers::expected(world.rank(), count);
    std::vector<std::int64_t> all_oracle(count * static_cast<std::size_t>(world.size())),
        sum_oracle = own, most_oracle = DeviceNumbers::expected(-world.rank(), count);
    world.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all_oracle)));
    world.all_reduce_sum(sum_oracle);
    world.all_reduce_max(most_oracle);
    EXPECT_EQ(all.copy(), all_oracle);
    EXPECT_EQ(sum.copy(), sum_oracle);
    EXPECT_EQ(most.copy(), most_oracle);
  }
}

TEST_P(Staged, GathersInPlaceAndRanksMayCompleteInAnyOrder) {
  HostStagedCollective staged = this->staged();
  DeviceNumbers all(5 * static_cast<std::size_t>(world.size())), sum(3);
  const auto own = all.span().subspan(5 * static_cast<std::size_t>(world.rank()), 5);
  nd::launch(nd::compute_stream(), [own] { std::iota(own.begin(), own.end(), own.size()); });
  sum.fill(2);
  auto gathering = staged.start_all_gather(std::as_bytes(own), all.bytes());
  auto summing = staged.start_all_reduce_sum(sum.span());
  std::int64_t host[1] = {world.rank()};
  auto comparing = world.start_all_reduce_max(host);  // of the group itself, in between
  if (world.rank() % 2) {
    while (!gathering->advance()) {
    }
    summing->wait();
    gathering->wait();
    comparing->wait();
  } else {
    comparing->wait();
    gathering->wait();
    summing->wait();
  }
  EXPECT_EQ(host[0], world.size() - 1);
  for (const std::int64_t first : {0, world.size() - 1})
    EXPECT_EQ(all.copy()[static_cast<std::size_t>(5 * first)], 5);
  EXPECT_EQ(sum.copy()[0], world.size() * DeviceNumbers::number(2, 0));
}

TEST_P(Staged, BroadcastsFromEveryRootAndWaitsOnTheHost) {
  HostStagedCollective staged = this->staged();
  for (int root = 0; root < world.size(); ++root) {
    DeviceNumbers values(20);
    values.fill(world.rank());
    staged.broadcast(values.bytes(), root);
    nd::synchronise(nd::compute_stream());
    EXPECT_EQ(std::vector<std::int64_t>(values.span().begin(), values.span().end()),
              DeviceNumbers::expected(root, 20));
  }
  staged.barrier();
}

TEST_P(Staged, HostMemoryIsRefused) {
  HostStagedCollective staged = this->staged();
  std::vector<std::int64_t> host(4), more(4 * static_cast<std::size_t>(world.size()));
  EXPECT_THROW(
      staged.start_all_gather(std::as_bytes(std::span(host)), std::as_writable_bytes(std::span(more))),
      InternalError);
  EXPECT_THROW(staged.all_to_all({}, {}), InternalError) << "goes by MPI";
  DeviceNumbers device(1), wrong_size(3 + static_cast<std::size_t>(world.size()));
  EXPECT_THROW(staged.start_all_gather(device.bytes(), wrong_size.bytes()), InternalError);
}

TEST_P(Staged, AGroupOfOneTouchesNothingInPlace) {
  Communicator self = Communicator::self();
  HostStagedCollective staged(self, device_backend(), world.rank(), nd::compute_stream);
  DeviceNumbers values(4), copy(4);
  values.fill(3);
  staged.start_all_gather(values.bytes(), values.bytes())->wait();
  staged.start_all_reduce_sum(values.span())->wait();
  staged.start_all_reduce_max(values.span())->wait();
  staged.broadcast(values.bytes(), 0);
  EXPECT_EQ(nd::count("cudaMemcpyAsync"), 0);
  staged.start_all_gather(values.bytes(), copy.bytes())->wait();
  EXPECT_EQ(copy.copy(), DeviceNumbers::expected(3, 4));
}

TEST_P(Staged, AnOperationThatIsNotWaitedForIsSeenToItsEnd) {
  HostStagedCollective staged = this->staged();
  DeviceNumbers values(9);
  values.fill(1);
  staged.start_all_reduce_sum(values.span());
  values.fill(77);
  EXPECT_EQ(values.copy(), DeviceNumbers::expected(77, 9));
  staged.barrier();
}

INSTANTIATE_TEST_SUITE_P(EarlyAndLate, Staged, testing::Values(nd::Pace::eager, nd::Pace::lazy),
                         [](const auto& info) { return info.param == nd::Pace::eager ? "eager" : "lazy"; });

/// What a device waits for, as a watchdog hears of it.
TEST_P(Nccl, TellsWhatItsDeviceWaitsInWhileItsHostGoesOn) {
  NcclCollective nccl = connect();
  EXPECT_FALSE(nccl.under_way());
  DeviceNumbers values(3);
  values.fill(2);
  nd::faults().others_never_come = true;
  const auto pending = nccl.start_all_reduce_max(values.span());
  pending->wait();  // returns at once
  nd::synchronise(nd::compute_stream(), /*may_hang=*/true);
  ASSERT_TRUE(nccl.under_way());
  EXPECT_EQ(*nccl.under_way(), "maximum of 3 numbers");

  Watchdog watchdog({1, 2, "here"}, Watchdog::Seconds(10));
  watchdog.enter("computing");
  const auto later = Watchdog::Clock::now() + std::chrono::seconds(60);
  EXPECT_NE(watchdog.complaint(later)->find("this host hangs"), std::string::npos);
  {
    WatchedCollective watched(nccl, watchdog);
    const std::string complaint = *watchdog.complaint(later);
    EXPECT_NE(complaint.find("computing (the device in: maximum of 3 numbers)"), std::string::npos)
        << complaint;
    EXPECT_NE(complaint.find("waits for other ranks"), std::string::npos) << complaint;
    EXPECT_FALSE(watchdog.complaint(Watchdog::Clock::now() + std::chrono::milliseconds(10500)))
        << "who waits is given longer";
  }
  nd::faults().others_never_come = false;
  nd::synchronise(nd::compute_stream());
  EXPECT_FALSE(nccl.under_way());
}

TEST_P(Nccl, AWatchdogThatAsksHearsOfALostRankAndLetsTheDeviceGo) {
  NcclCollective nccl = connect();
  DeviceNumbers values(3);
  values.fill(2);
  nccl.start_all_reduce_max(values.span())->wait();
  values.copy();
  nd::faults().remote_error = true;
  EXPECT_FALSE(nccl.under_way());
  EXPECT_EQ(nd::count("ncclCommAbort"), 1);
  try {
    nccl.barrier();
    FAIL() << "nothing was thrown";
  } catch (const RankError& error) {
    EXPECT_NE(std::string(error.what()).find("NCCL says"), std::string::npos) << error.what();
  }
}

using Uuids = std::vector<std::vector<std::string>>;

TEST(Device, EachTakesItsOwnWhereAllSeeAll) {
  EXPECT_EQ(choose_devices(Uuids(4, {"a", "b", "c", "d"})), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(choose_devices(Uuids(2, {"a", "b", "c", "d"})), (std::vector<int>{0, 1}));
}

TEST(Device, EachTakesTheFirstOfThoseThatItsLauncherGaveItAlone) {
  EXPECT_EQ(choose_devices(Uuids{{"a"}, {"b"}, {"c"}}), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(choose_devices(Uuids{{"a", "b"}, {"c", "d"}}), (std::vector<int>{0, 0}));
  EXPECT_EQ(choose_devices(Uuids{{"a", "b"}, {"a"}}), (std::vector<int>{1, 0})) << "who has no choice first";
}

TEST(Device, RanksThatOutnumberDevicesShareThemEvenly) {
  EXPECT_EQ(choose_devices(Uuids(5, {"a", "b"})), (std::vector<int>{0, 1, 0, 1, 0}));
}

TEST(Device, RanksThatSeeAllTakeDifferentOnesAndWhoSharesOneIsNamed) {
  Communicator world = Communicator::world();
  const std::vector<std::string> five = {"one", "two", "three", "four", "five"};
  nd::reset(world.handle().value, five, nd::Pace::eager);
  EXPECT_EQ(device_of_rank(world).device.index, world.rank() % 5);
  EXPECT_FALSE(device_of_rank(world).shared);

  // Bound by the launcher: every rank sees one, its own.
  nd::reset(world.handle().value, {"number " + std::to_string(world.rank())}, nd::Pace::eager);
  EXPECT_EQ(device_of_rank(world).device.index, 0);
  EXPECT_FALSE(device_of_rank(world).shared);

  nd::reset(world.handle().value, {"shared"}, nd::Pace::eager);
  const RankDevice own = device_of_rank(world);
  EXPECT_EQ(own.device.uuid, "GPU-73686172-6564-0000-0000-000000000000");
  EXPECT_EQ(own.shared.has_value(), world.size() > 1);
  if (own.shared) {
    EXPECT_TRUE(own.shared->starts_with("ranks 0 and 1 on host ")) << *own.shared;
    EXPECT_NE(own.shared->find(own.device.uuid), std::string::npos) << *own.shared;
  }
}

TEST(Device, ARankWithoutOneIsTheErrorOfAll) {
  Communicator world = Communicator::world();
  const bool blind = world.rank() == world.size() - 1;
  nd::reset(world.handle().value, blind ? std::vector<std::string>{} : std::vector<std::string>{"one"},
            nd::Pace::eager);
  EXPECT_THROW(device_of_rank(world), UsageError);
}

TEST(Device, SaysWhatDecidesItsArithmetic) {
  nd::reset(MPI_COMM_SELF, {"one"}, nd::Pace::eager);
  const Device device = device_backend().visible().at(0);
  EXPECT_EQ(device.name, "a made-up GPU");
  EXPECT_EQ(device.more.find("7 multiprocessors of kind 9.0, driver "), 0u) << device.more;
  EXPECT_NE(device.more.find("for CUDA 13.0"), std::string::npos) << device.more;
  EXPECT_FALSE(device.is_slice);
}

TEST(Device, KnowsTheWordsOfItsLibrariesForNoMemory) {
  const DeviceBackend& cuda = device_backend();
  for (const char* text :
       {"CUDA error: out of memory", "GET was unable to find an engine to execute this computation",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasSgemm`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"})
    EXPECT_TRUE(cuda.says_no_memory(text)) << text;
  for (const char* text : {"CUDA error: an illegal memory access was encountered",
                           "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
                           "cuDNN error: CUDNN_STATUS_MAPPING_ERROR"})
    EXPECT_FALSE(cuda.says_no_memory(text)) << text;
}

TEST(Device, VersionsAreThoseOfTheLoadedLibraries) {
  const auto versions = device_backend().libraries();
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].loaded, "12.4");
  EXPECT_EQ(versions[1].loaded, "2.27.5");
}

}  // namespace
}  // namespace dwgf
