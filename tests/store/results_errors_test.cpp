#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

Communicator world() {
  return Communicator::world();
}

void barrier() {
  world().barrier();
}

TEST(Results, IsNeverOverwritten) {
  const std::string path = temporary("twice.h5");
  const auto layout = small_layout(2);
  ResultsFile::create(path, layout, world()).close();
  const std::string text = message_of<IoError>([&] { ResultsFile::create(path, small_layout(3), world()); });
  EXPECT_NE(text.find("exists already"), std::string::npos) << text;
  EXPECT_EQ(ResultsFile::open_for_reading(path).layout().images.size(), 2u);
  barrier();
  if (world().rank() == 0) fs::create_symlink("nowhere", temporary("link.h5"));
  EXPECT_THROW(ResultsFile::create(temporary("link.h5"), layout, world()), IoError);
}

TEST(Results, AFileThatWasRemovedMeanwhileTakesNoCommit) {
  if (!on_one_rank()) return;
  const std::string path = temporary("folder/vanished.h5");
  fs::create_directory(temporary("folder"));
  auto file = ResultsFile::create(path, small_layout(), world());
  file.commit(0, 1, 1);
  fs::rename(temporary("folder"), temporary("elsewhere"));
  const std::string text = message_of<IoError>([&] { file.commit(1, 1, 1); });
  EXPECT_NE(text.find(path), std::string::npos) << text;
  fs::rename(temporary("elsewhere"), temporary("folder"));
  EXPECT_NO_THROW(file.commit(1, 1, 1));
  fs::copy_file(path, path + ".copy");
  fs::rename(path + ".copy", path);
  EXPECT_THROW(file.commit(2, 1, 1), IoError);
  file.close();
}

TEST(Results, LargeDatasetsBeginAtMultiplesOfTheAlignment) {
  if (!on_one_rank()) return;
  const std::string path = temporary("aligned.h5");
  ResultsLayout layout = small_layout(3);
  layout.alignment = 4096;
  const std::vector<std::string> large = {"/particles/a", "/particles/b", "/particles/c"};
  for (const std::string& name : large) layout.datasets.push_back({name, NumberType::uint8, {5001}});
  ResultsFile::create(path, layout, world()).close();
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  for (const std::string& name : large) {
    const hid_t dataset = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
    EXPECT_EQ(H5Dget_offset(dataset) % 4096, 0u) << name;
    H5Dclose(dataset);
  }
  H5Fclose(file);
}

TEST(Results, TakeTheirSpaceWhenTheyAreMade) {
  if (!on_one_rank()) return;
  const std::string path = temporary("space.h5");
  ResultsLayout layout = small_layout(1);
  layout.datasets.push_back({"/particles/large", NumberType::float64, {1 << 20}});
  ResultsFile::create(path, layout, world()).close();
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, 8 << 20) << "a full disk would be met in the middle of the job";
}

TEST(Results, WhatAKilledCreationLeftIsReplaced) {
  const std::string path = temporary("stale.h5");
  if (world().rank() == 0) std::ofstream(path + ".creating") << "half a file";
  barrier();
  const std::string text = message_of<NotFoundError>([&] { ResultsFile::open_for_reading(path); });
  EXPECT_NE(text.find(".creating"), std::string::npos) << text;
  EXPECT_THROW(ResultsFile::open_for_writing(path, world()), NotFoundError);
  ResultsFile::create(path, small_layout(), world()).close();
  EXPECT_FALSE(fs::exists(path + ".creating"));
  EXPECT_NO_THROW(ResultsFile::open_for_reading(path));
}

TEST(Results, PlacesThatCannotWorkAreNamed) {
  const auto layout = small_layout();
  const std::string missing = temporary("missing/out.h5");
  EXPECT_NE(
      message_of<IoError>([&] { ResultsFile::create(missing, layout, world()); }).find(temporary("missing")),
      std::string::npos);
  EXPECT_THROW(ResultsFile::create("/proc/out.h5", layout, world()), IoError);
  EXPECT_THROW(ResultsFile::open_for_reading(missing), NotFoundError);
  if (world().rank() == 0) std::ofstream(temporary("file")) << "x";
  barrier();
  EXPECT_THROW(ResultsFile::create(temporary("file/out.h5"), layout, world()), IoError);
  EXPECT_THROW(ResultsFile::open_for_reading(TemporaryDirectory::path()), DataError);
}

TEST(Results, ADiskThatIsTooSmallIsNamedBefore) {
  auto layout = small_layout(1000);
  layout.datasets.push_back({"/particles/huge", NumberType::float64, {1 << 20, 1 << 14}});  // 128 TiB
  const std::string path = temporary("huge.h5");
  const std::string text = message_of<IoError>([&] { ResultsFile::create(path, layout, world()); });
  EXPECT_NE(text.find("bytes free"), std::string::npos) << text;
  // Regions at the edges of a large image are stored whole.
  EXPECT_NE(text.find(std::to_string(1000ull << 37).substr(0, 4)), std::string::npos) << text;
  barrier();
  EXPECT_FALSE(fs::exists(path) || fs::exists(path + ".creating"));
}

TEST(Results, ImpossibleLayoutsAreRefused) {
  const auto refused = [&](const std::function<void(ResultsLayout&)>& change) {
    auto layout = small_layout();
    change(layout);
    EXPECT_THROW(ResultsFile::create(temporary("bad.h5"), layout, world()), InternalError);
  };
  refused([](ResultsLayout& layout) { layout.images.clear(); });
  refused([](ResultsLayout& layout) { layout.datasets[0].type = NumberType::none; });
  refused([](ResultsLayout& layout) { layout.datasets[0].row_shape = {0}; });
  refused([](ResultsLayout& layout) { layout.datasets[0].row_shape = {1ll << 40, 1ll << 40}; });
  refused([](ResultsLayout& layout) { layout.datasets[0].path = "/image/state"; });
  refused([](ResultsLayout& layout) { layout.datasets[0].path = layout.datasets[1].path; });
  refused([](ResultsLayout& layout) { layout.datasets[0].path = "mean"; });
}

TEST(Results, MisuseIsAnInternalError) {
  const std::string path = temporary("misuse.h5");
  auto file = ResultsFile::create(path, small_layout(2), world());
  const std::vector<std::byte> bytes(4);
  EXPECT_THROW(file.write("/posterior/mean", 2, 0, bytes), InternalError);
  EXPECT_THROW(file.write("/posterior/mean", -1, 0, bytes), InternalError);
  EXPECT_THROW(file.write("/posterior/mean", 0, 35, bytes), InternalError);
  EXPECT_THROW(file.write("/posterior/mean", 0, -1, bytes), InternalError);
  EXPECT_THROW(file.write("/posterior/mean", 0, 0, std::span(bytes).first(3)), InternalError);
  EXPECT_THROW(file.write("/posterior/none", 0, 0, bytes), InternalError);
  EXPECT_THROW(file.read("/image/id", 0), InternalError);
  EXPECT_THROW(file.commit(2, 0, 0), InternalError);
  EXPECT_THROW(file.state(7), InternalError);
  auto reader = ResultsFile::open_for_reading(path);
  EXPECT_THROW(reader.write("/posterior/mean", 0, 0, bytes), InternalError);
  EXPECT_THROW(reader.commit(0, 0, 0), InternalError);
  ResultsFile moved = std::move(reader);
  ResultsFile& same = moved;
  moved = std::move(same);
  EXPECT_EQ(moved.states().size(), 2u);
  moved.close();
  file.close();
}

}  // namespace
}  // namespace dwgf
