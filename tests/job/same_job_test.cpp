// Ranks that were not started alike are told so, on any number of ranks.
#include "job/same_job.hpp"

#include <gtest/gtest.h>

#include "comm/throw_on_all.hpp"

namespace dwgf {
namespace {

Settings job_with_seed(int seed) {
  return parse_settings(*find_command("restore"), {"--flow.seed", std::to_string(seed)});
}

TEST(SameJob, IsAccepted) {
  Communicator world = Communicator::world();
  EXPECT_NO_THROW(require_same_job(world, job_with_seed(1)));
}

TEST(SameJob, AnotherOnTheLastRankIsNamedWithRankAndKey) {
  Communicator world = Communicator::world();
  if (world.size() == 1) GTEST_SKIP() << "one rank agrees with itself";
  try {
    require_same_job(world, job_with_seed(world.rank() == world.size() - 1 ? 2 : 1));
    FAIL() << "nothing was thrown";
  } catch (const CollectiveError& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    const std::string text = error.what();
    for (const std::string& part :
         {formatted("rank {}", world.size() - 1), std::string("flow.seed = 2"), std::string("flow.seed = 1")})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace dwgf
