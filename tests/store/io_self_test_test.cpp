#include "store/io_self_test.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

TEST(IoSelfTest, PassesHereAndLeavesNothing) {
  Communicator world = Communicator::world();
  const std::string path = temporary("iotest");
  EXPECT_NO_THROW(test_mpi_io(path, world));
  world.barrier();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(IoSelfTest, NamesAPlaceWhereItCannotWrite) {
  Communicator world = Communicator::world();
  const std::string path = temporary("absent/iotest");
  const std::string text = message_of<IoError>([&] { test_mpi_io(path, world); });
  EXPECT_NE(text.find(path), std::string::npos) << text;
}

}  // namespace
}  // namespace dwgf
