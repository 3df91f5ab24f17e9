#include "store/staged_folder.hpp"

#include <fstream>
#include <iterator>
#include <numeric>

#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A machine as nodes of two ranks.
std::vector<int> pairs(const Communicator& world) {
  std::vector<int> nodes(static_cast<std::size_t>(world.size()));
  for (int rank = 0; rank < world.size(); ++rank) nodes[static_cast<std::size_t>(rank)] = rank / 2 * 2;
  return nodes;
}

class StagedFolderTest : public ::testing::Test {
 protected:
  StagedFolderTest() {
    if (world.rank() == 0) {
      fs::remove_all(directory);
      fs::create_directories(directory / "source/unet");
      fs::create_directories(directory / "local");
      for (std::size_t k = 0; k < large.size(); ++k) large[k] = static_cast<char>(k * k >> 3);
      std::ofstream(directory / "source/unet/weights", std::ios::binary) << large;
      std::ofstream(directory / "source/a name with spaces") << "short";
      std::ofstream(directory / "source/empty");
    }
    world.barrier();
  }

  Communicator world = Communicator::world();
  fs::path directory = temporary("staged");
  std::string large = std::string((std::size_t{16} << 20) + 12345, '\0');  // more than one piece
};

TEST_F(StagedFolderTest, GivesEveryNodeItsCopyFromOneReader) {
  fs::path copy;
  {
    // Only rank 0 knows where the source is.
    const StagedFolder staged(world, pairs(world),
                              world.rank() == 0 ? (directory / "source").string() : "nowhere",
                              directory / "local");
    copy = staged.path();
    EXPECT_TRUE(world.rank() != 0 || text_of(copy / "unet/weights") == large);
    EXPECT_EQ(fs::file_size(copy / "unet/weights"), large.size());
    EXPECT_EQ(text_of(copy / "a name with spaces"), "short");
    EXPECT_TRUE(fs::exists(copy / "empty"));
    const auto copies = std::distance(fs::directory_iterator(directory / "local"), fs::directory_iterator());
    EXPECT_EQ(copies, (world.size() + 1) / 2);
    world.barrier();
  }
  world.barrier();
  EXPECT_FALSE(fs::exists(copy));
  world.barrier();
}

TEST_F(StagedFolderTest, TellsEveryRankWhatWentWrongAndLeavesNothing) {
  EXPECT_THROW(StagedFolder(world, pairs(world), directory / "none", directory / "local"), NotFoundError);
  EXPECT_THROW(StagedFolder(world, pairs(world), directory / "source", directory / "no such root"), IoError);
  world.barrier();
  EXPECT_TRUE(fs::is_empty(directory / "local"));
  world.barrier();
}

TEST_F(StagedFolderTest, RemovesWhatAKilledJobLeft) {
  const fs::path left = directory / "local/dwgf-staged-999999999";  // beyond any process number
  if (world.rank() == 0) fs::create_directory(left);
  world.barrier();
  const StagedFolder staged(world, pairs(world), directory / "source", directory / "local");
  world.barrier();
  EXPECT_FALSE(fs::exists(left));
  world.barrier();
}

}  // namespace
}  // namespace dwgf
