// The main function of every test program, on one rank or many. Every rank runs every test; a test passes
// only if it passed on all of them. Rank 0 alone prints and writes XML, with the failures of the other ranks
// in rank order.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <mpi.h>

namespace {

using Clock = std::chrono::steady_clock;

// How long a rank that has failed waits for the others before it takes them for stuck in a collective that it
// has left.
constexpr std::chrono::seconds patience{60};

class Ranks {
 public:
  Ranks() {
    MPI_Comm_dup(MPI_COMM_WORLD, &comm_);
    MPI_Comm_rank(comm_, &rank_);
    MPI_Comm_size(comm_, &size_);
  }
  int rank() const { return rank_; }

  // Everyone's text, in rank order, on every rank. All ranks have to arrive, and a rank whose own text tells
  // of a failure does not wait for ever: it says what it has and ends the job.
  std::vector<std::string> gather(const std::string& mine) const {
    int length = static_cast<int>(mine.size());
    std::vector<int> lengths(size_), offsets(size_);
    MPI_Request request;
    MPI_Iallgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_, &request);
    wait_for(request, mine);
    int total = 0;
    for (int k = 0; k < size_; ++k) {
      offsets[k] = total;
      total += lengths[k];
    }
    std::string all(total, ' ');
    MPI_Iallgatherv(mine.data(), length, MPI_CHAR, all.data(), lengths.data(), offsets.data(), MPI_CHAR,
                    comm_, &request);
    wait_for(request, mine);
    std::vector<std::string> texts;
    for (int k = 0; k < size_; ++k) texts.push_back(all.substr(offsets[k], lengths[k]));
    return texts;
  }

  int largest(int value) const {
    int result = value;
    MPI_Allreduce(&value, &result, 1, MPI_INT, MPI_MAX, comm_);
    return result;
  }

 private:
  void wait_for(MPI_Request& request, const std::string& mine) const {
    const auto start = Clock::now();
    auto pause = std::chrono::microseconds(1);
    int done = 0;
    while (MPI_Test(&request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
      if (!mine.empty() && Clock::now() - start > patience) {
        std::fprintf(stderr,
                     "%s[rank %d] other ranks did not reach the end of this test within %d s: ending all\n",
                     mine.c_str(), rank_, static_cast<int>(patience.count()));
        std::fflush(nullptr);
        std::this_thread::sleep_for(std::chrono::milliseconds(500));  // other ranks that failed get to speak
        MPI_Abort(MPI_COMM_WORLD, 1);
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, std::chrono::microseconds(1000));
    }
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
};

class GatherFailures : public testing::EmptyTestEventListener {
 public:
  explicit GatherFailures(const Ranks& ranks) : ranks_(ranks) {}

 private:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed() || reporting_) return;
    failures_ += "[rank " + std::to_string(ranks_.rank()) + "] " + place_of(result) + result.summary() + "\n";
  }

  static std::string place_of(const testing::TestPartResult& result) {
    if (!result.file_name()) return {};  // an exception
    return std::string(result.file_name()) + ":" + std::to_string(result.line_number()) + ": ";
  }

  // Listeners end in reverse order, so this one, added last, runs before the printer says whether the test
  // passed.
  void OnTestEnd(const testing::TestInfo&) override { report(); }
  // What failed outside of a test: a suite's or the environment's set-up and tear-down.
  void OnTestProgramEnd(const testing::UnitTest&) override { report(); }

  void report() {
    const auto texts = ranks_.gather(std::exchange(failures_, {}));
    if (ranks_.rank() != 0) return;
    std::string others;
    for (std::size_t k = 1; k < texts.size(); ++k) others += texts[k];
    if (others.empty()) return;
    reporting_ = true;
    ADD_FAILURE() << "failed on other ranks:\n" << others;
    reporting_ = false;
  }

  const Ranks& ranks_;
  std::string failures_;
  bool reporting_ = false;
};

int run_tests(const Ranks& ranks) {
  if (GTEST_FLAG_GET(list_tests) && ranks.rank() != 0) return 0;
  // An order drawn from the clock would differ from rank to rank.
  if (GTEST_FLAG_GET(shuffle) && GTEST_FLAG_GET(random_seed) == 0) GTEST_FLAG_SET(random_seed, 1);

  auto& test = *testing::UnitTest::GetInstance();
  auto& listeners = test.listeners();
  if (ranks.rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
  }
  if (!GTEST_FLAG_GET(list_tests)) listeners.Append(new GatherFailures(ranks));

  const int code = RUN_ALL_TESTS();
  if (GTEST_FLAG_GET(list_tests) || test.successful_test_count() + test.failed_test_count() > 0) return code;
  if (ranks.rank() == 0) std::fprintf(stderr, "no test ran: see --gtest_filter and --gtest_list_tests\n");
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided) != MPI_SUCCESS) return 1;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  testing::InitGoogleTest(&argc, argv);

  const Ranks ranks;
  const int code = GTEST_FLAG_GET(list_tests) ? run_tests(ranks) : ranks.largest(run_tests(ranks));
  MPI_Finalize();
  return code;
}
