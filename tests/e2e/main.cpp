// The main function of the end-to-end tests. It runs without mpirun, which the tests start themselves.
#include <gtest/gtest.h>

#include "workplace.hpp"

namespace {

class Workplace : public testing::Environment {
  void SetUp() override { dwgf::test::make_workplace(); }
  void TearDown() override { dwgf::test::remove_workplace(); }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  dwgf::test::adopt_orphans();
  testing::AddGlobalTestEnvironment(new Workplace);
  const int code = RUN_ALL_TESTS();
  const auto& test = *testing::UnitTest::GetInstance();
  if (GTEST_FLAG_GET(list_tests) || test.successful_test_count() + test.failed_test_count() > 0) return code;
  std::fprintf(stderr, "no test ran: see --gtest_filter and --gtest_list_tests\n");
  return 1;  // a filter in tests/CMakeLists.txt that matches nothing is not a passed test
}
