// Rows in several files: the whole as this program and as any other reads it, and shards that are not what
// they should be.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>

#include <gtest/gtest.h>
#include <hdf5.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

Communicator world() {
  return Communicator::world();
}

ResultsLayout sharded(std::size_t images, std::int64_t shards, std::uint64_t chunk_bytes = 0) {
  ResultsLayout layout = small_layout(images);
  layout.constants = {{"mask", {{2, 3}, {1, 0, 1, 0, 1, 0}}}};
  layout.shards = shards;
  layout.chunk_bytes = chunk_bytes;
  return layout;
}

void write_row(ResultsFile& file, std::int64_t row) {
  for (const auto& dataset : file.layout().datasets)
    file.write(dataset.path, row, 0, row_bytes_of(dataset, row));
  file.commit(row, expected_crc32(file.layout(), row), 0.5f);
}

void expect_row(const ResultsFile& file, std::int64_t row) {
  ASSERT_EQ(file.state(row), ImageState::committed) << row;
  for (const auto& dataset : file.layout().datasets)
    EXPECT_EQ(file.read(dataset.path, row), row_bytes_of(dataset, row)) << dataset.path << ", row " << row;
  EXPECT_EQ(file.compute_crc32(row), file.stored_crc32(row));
}

/// A file of which every rank has written its share.
std::string written(const std::string& name, const ResultsLayout& layout) {
  const std::string path = temporary(name);
  auto file = ResultsFile::create(path, layout, world(), Durability::kill_safe);
  const auto images = static_cast<std::int64_t>(layout.images.size());
  for (std::int64_t row = world().rank(); row < images; row += world().size()) write_row(file, row);
  file.close();
  return path;
}

/// All of a dataset, by HDF5 alone, as programs that know nothing of shards read it. HDF5 does not open a
/// file twice in one process with other settings: nothing of it is open.
std::vector<std::byte> plainly_read(const std::string& path, const std::string& dataset) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t data = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
  const hid_t type = H5Dget_type(data), space = H5Dget_space(data);
  std::vector<std::byte> bytes(H5Tget_size(type) *
                               static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
  EXPECT_GE(H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), 0) << dataset;
  H5Sclose(space);
  H5Tclose(type);
  H5Dclose(data);
  H5Fclose(file);
  return bytes;
}

void expect_reads_like(const std::string& path, const std::string& single) {
  const auto layout = ResultsFile::open_for_reading(single).layout();
  std::vector<std::string> names = {"/image/id",      "/image/name",   "/image/height",
                                    "/image/width",   "/image/state",  "/image/crc32",
                                    "/image/seconds", "/image/reason", "/operator/mask"};
  for (const auto& dataset : layout.datasets) names.push_back(dataset.path);
  for (const auto& name : names) EXPECT_EQ(plainly_read(path, name), plainly_read(single, name)) << name;
  EXPECT_EQ(ResultsFile::open_for_reading(path).layout().attributes, layout.attributes);
}

TEST(Shards, TheWholeReadsLikeASingleFile) {
  const std::string single = written("single.h5", sharded(7, 1));
  EXPECT_FALSE(fs::exists(single + ".shards"));
  for (const std::int64_t shards : {2, 3, 7, 100}) {
    const std::string path = written(formatted("of{}.h5", shards), sharded(7, shards));
    world().barrier();
    std::optional<ResultsFile> file = ResultsFile::open_for_reading(path);
    const auto files = file->shards();
    ASSERT_EQ(files.size(), static_cast<std::size_t>(std::min<std::int64_t>(shards, 7)));
    std::int64_t rows = 0;
    for (const ResultsShard& shard : files) {
      EXPECT_EQ(shard.first, rows);
      EXPECT_EQ(shard.problem, "");
      EXPECT_EQ(fs::path(shard.path).parent_path(), path + ".shards");
      rows += shard.rows;
    }
    EXPECT_EQ(rows, 7);
    for (std::int64_t row = 0; row < 7; ++row) expect_row(*file, row);
    EXPECT_EQ(file->read_constant("mask").values, (std::vector<float>{1, 0, 1, 0, 1, 0}));
    file.reset();
    expect_reads_like(path, single);
  }
}

TEST(Shards, GoOnAfterReopeningAndMoveWithTheirFile) {
  const std::string path = temporary("moved/r 100%b.h5");
  if (world().rank() == 0) fs::create_directory(temporary("moved"));
  world().barrier();
  auto file = ResultsFile::create(path, sharded(5, 2), world());
  if (world().rank() == 0) write_row(file, 4);
  file.close();
  if (world().rank() == 0) fs::rename(temporary("moved"), temporary("elsewhere"));
  world().barrier();
  const std::string moved = temporary("elsewhere/r 100%b.h5");
  file = ResultsFile::open_for_writing(moved, world());
  if (world().rank() == 0) {
    expect_row(file, 4);
    for (std::int64_t row = 0; row < 4; ++row) write_row(file, row);
    file.withdraw(2);
    file.sync();
  }
  file.close();
  {
    const auto whole = ResultsFile::open_for_reading(moved);
    for (const std::int64_t row : {0, 1, 3, 4}) expect_row(whole, row);
    EXPECT_EQ(whole.state(2), ImageState::not_done);
  }
  std::vector<std::byte> states = plainly_read(moved, "/image/state");
  EXPECT_EQ(states,
            (std::vector<std::byte>{std::byte{1}, std::byte{1}, std::byte{0}, std::byte{1}, std::byte{1}}));
}

TEST(Shards, AMissingOneIsNamedReadsAsNotDoneAndIsMadeAgain) {
  const std::string path = written("missing.h5", sharded(5, 2));
  world().barrier();
  if (world().rank() == 0) fs::remove(path + ".shards/1.h5");
  world().barrier();
  {
    const auto file = ResultsFile::open_for_reading(path);
    EXPECT_EQ(file.shards()[0].problem, "");
    EXPECT_TRUE(file.shards()[1].missing);
    EXPECT_EQ(file.shards()[1].first, 3);
    EXPECT_EQ(file.layout().images[4].id, small_layout(5).images[4].id);
    EXPECT_EQ(file.states(),
              (std::vector<ImageState>{ImageState::committed, ImageState::committed, ImageState::committed,
                                       ImageState::not_done, ImageState::not_done}));
    EXPECT_NE(message_of<DataError>([&] { file.read("/posterior/mean", 4); }).find("1.h5"),
              std::string::npos);
  }
  EXPECT_EQ(plainly_read(path, "/image/state")[4], std::byte{0});
  const auto mean = plainly_read(path, "/posterior/mean");
  float value = 0;
  std::copy(mean.end() - sizeof value, mean.end(), reinterpret_cast<std::byte*>(&value));
  EXPECT_TRUE(std::isnan(value));
  world().barrier();
  auto file = ResultsFile::open_for_writing(path, world());
  EXPECT_EQ(file.state(3), ImageState::not_done);
  for (std::int64_t row = 0; row < 3; ++row) expect_row(file, row);
  world().barrier();
  if (world().rank() == 0)
    for (const std::int64_t row : {3, 4}) write_row(file, row);
  file.close();
  const auto whole = ResultsFile::open_for_reading(path);
  for (std::int64_t row = 0; row < 5; ++row) expect_row(whole, row);
}

TEST(Shards, AForeignOrDamagedOneIsNamedAndLeftAsItIs) {
  const std::string path = written("wrong.h5", sharded(6, 3));
  ResultsLayout other = sharded(6, 3);
  other.attributes["job"] = "[flow]\nsteps = 51\n";
  const std::string foreign = written("other.h5", other);
  const auto expect_refused = [&](const std::string& why) {
    const auto file = ResultsFile::open_for_reading(path);
    EXPECT_NE(file.shards()[1].problem.find(why), std::string::npos) << file.shards()[1].problem;
    EXPECT_FALSE(file.shards()[1].missing);
    EXPECT_EQ(file.state(2), ImageState::not_done);
    EXPECT_EQ(file.state(4), ImageState::committed);
    world().barrier();
    const std::string text = message_of<DataError>([&] { ResultsFile::open_for_writing(path, world()); });
    EXPECT_NE(text.find("1.h5"), std::string::npos) << text;
    world().barrier();
  };
  const auto put = [&](const std::function<void(const std::string&)>& change) {
    world().barrier();
    if (world().rank() == 0) change(path + ".shards/1.h5");
    world().barrier();
  };
  const auto keep = fs::copy_options::overwrite_existing;
  put([&](const std::string& shard) { fs::copy_file(foreign + ".shards/1.h5", shard, keep); });
  expect_refused("'job'");
  put([&](const std::string& shard) { fs::copy_file(path + ".shards/0.h5", shard, keep); });
  expect_refused("'shard'");
  put([&](const std::string& shard) { fs::resize_file(shard, fs::file_size(shard) / 2); });
  expect_refused("truncated");
  put([&](const std::string& shard) { write_content(shard, "no HDF5"); });
  expect_refused("not an HDF5 file");
}

TEST(Shards, ACreationThatWasCutShortIsMadeGoodAndResultsAreNotOverwritten) {
  const std::string path = temporary("again.h5");
  const auto on_first = [&](const std::function<void()>& change) {
    world().barrier();
    if (world().rank() == 0) change();
    world().barrier();
  };
  // Cut short: untouched shards of another division, half a file, no whole.
  ResultsFile::create(path, sharded(6, 2), world()).close();
  on_first([&] {
    fs::remove(path);
    write_content(path + ".shards/5.h5.creating", "half a file");
  });
  auto file = ResultsFile::create(path, sharded(6, 3), world());
  EXPECT_EQ(file.shards().size(), 3u);
  if (world().rank() == 0) write_row(file, 5);
  file.close();
  // Only the whole was lost: what the shards hold is taken up.
  on_first([&] { fs::remove(path); });
  ResultsFile::create(path, sharded(6, 3), world()).close();
  expect_row(ResultsFile::open_for_reading(path), 5);
  // Another division has no use for it.
  on_first([&] { fs::remove(path); });
  EXPECT_NE(message_of<IoError>([&] { ResultsFile::create(path, sharded(6, 2), world()); }).find("2.h5"),
            std::string::npos);
  ResultsFile::create(path, sharded(6, 3), world()).close();
  expect_row(ResultsFile::open_for_reading(path), 5);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(path + ".shards")) ++files;
  EXPECT_EQ(files, 3u);
}

TEST(Chunks, HoldTheSameBytesAndAreAllAllocatedAtOnce) {
  const std::string single = written("contiguous.h5", sharded(7, 1));
  for (const std::uint64_t bytes : {1u, 100u, 1000u, 1000000u}) {
    const std::string path =
        written(formatted("chunks{}.h5", bytes), sharded(7, bytes == 100u ? 2 : 1, bytes));
    world().barrier();
    expect_reads_like(path, single);
    auto file = ResultsFile::open_for_writing(path, world());
    for (std::int64_t row = 0; row < 7; ++row) expect_row(file, row);
    file.close();
  }
}

}  // namespace
}  // namespace dwgf
