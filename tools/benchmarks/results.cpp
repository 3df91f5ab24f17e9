// Times what the results file costs. Started by `tools/bench results`, on several ranks:
//
//   write FOLDER
//       images written and committed by all ranks at once,
//           against as many bytes written to one file by pwrite
//   million FOLDER  makes FOLDER/million.h5,
//       a results file of a million images of which every second is committed, and
//                   opens it
#include "store/results.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <hdf5.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace {

using namespace dwgf;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kImages = 64;  // in all
constexpr int kTurns = 5;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What `restore` stores of an image of 256 x 256 with 4 particles.
ResultsLayout layout_of(std::int64_t images, std::int64_t size) {
  ResultsLayout layout;
  for (std::int64_t k = 0; k < images; ++k)
    layout.images.push_back({static_cast<std::uint64_t>(k), formatted("folder/picture-{}.png", k),
                             static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(size)});
  for (const char* path : {"/posterior/mean", "/posterior/std", "/measurement/y", "/truth/x"})
    layout.datasets.push_back({path, NumberType::float32, {3, size, size}});
  layout.datasets.push_back({"/particles/x", NumberType::float32, {4, 3, size, size}});
  layout.datasets.push_back({"/diagnostics/misfit", NumberType::float32, {998}});
  layout.attributes = {{"job", ""}, {"version", "0"}, {"prior_sha256", ""}, {"system", ""}};
  return layout;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The slowest rank's seconds for `work`.
template <class Work>
double together(Communicator& world, const Work& work) {
  world.barrier();
  const auto start = Clock::now();
  work();
  std::int64_t nanoseconds[1] = {static_cast<std::int64_t>(1e9 * seconds_since(start))};
  world.all_reduce_max(nanoseconds);
  return 1e-9 * static_cast<double>(nanoseconds[0]);
}

void write_raw(int file, const ResultsLayout& layout, std::int64_t row, std::span<const std::byte> bytes) {
  std::size_t begin = 0;
  for (const DatasetLayout& dataset : layout.datasets) {
    const std::size_t size = dataset.row_bytes();
    const auto at = static_cast<off_t>(begin * kImages + static_cast<std::size_t>(row) * size);
    if (pwrite(file, bytes.data(), size, at) != static_cast<ssize_t>(size)) throw IoError("pwrite failed");
    begin += size;
  }
}

void write_results(ResultsFile& file, std::int64_t row, std::span<const std::byte> bytes) {
  std::uint32_t crc = crc32_of({});
  for (const DatasetLayout& dataset : file.layout().datasets)
    file.write(dataset.path, row, 0, bytes.first(dataset.row_bytes()));
  for (const DatasetLayout& dataset : checksummed_datasets(file.layout())) {
    const auto own = bytes.first(dataset.row_bytes());
    crc = crc32_combine(crc, crc32_of(own), own.size());
  }
  file.commit(row, crc, 1.0F);
}

void measure_writing(const std::string& folder) {
  Communicator world = Communicator::world();
  const std::string raw = folder + "/raw", results = folder + "/results.h5";
  const ResultsLayout layout = layout_of(kImages, 256);
  std::size_t row_bytes = 0, largest = 0;
  for (const DatasetLayout& dataset : layout.datasets) {
    row_bytes += dataset.row_bytes();
    largest = std::max(largest, dataset.row_bytes());
  }
  std::vector<std::byte> bytes(largest);
  for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::byte>(k * 2654435761U >> 24);
  const double mebibytes = static_cast<double>(row_bytes * kImages) / (1 << 20);

  std::vector<double> by_pwrite, by_results, ratio;
  for (int turn = 0; turn < kTurns; ++turn) {
    if (world.rank() == 0) {
      fs::remove(raw);
      const int file = open(raw.c_str(), O_CREAT | O_RDWR, 0600);
      if (fallocate(file, 0, 0, static_cast<off_t>(row_bytes * kImages)) != 0) throw IoError("no space");
      close(file);
    }
    world.barrier();
    const int file = open(raw.c_str(), O_RDWR);
    by_pwrite.push_back(mebibytes / together(world, [&] {
                          for (std::int64_t row = world.rank(); row < kImages; row += world.size())
                            write_raw(file, layout, row, bytes);
                        }));
    close(file);
    world.barrier();
    if (world.rank() == 0) fs::remove(raw);

    ResultsFile target = ResultsFile::create(results, layout, world, Durability::kill_safe);
    by_results.push_back(mebibytes / together(world, [&] {
                           for (std::int64_t row = world.rank(); row < kImages; row += world.size())
                             write_results(target, row, bytes);
                         }));
    target.close();
    if (world.rank() == 0) fs::remove(results);
    ratio.push_back(by_results.back() / by_pwrite.back());
  }
  if (world.rank() != 0) return;
  std::printf("| %d | %.0f | %.0f | %.0f | %.0f %% (%.0f ... %.0f) |\n", world.size(), mebibytes,
              median(by_pwrite), median(by_results), 100 * median(ratio),
              100 * *std::min_element(ratio.begin(), ratio.end()),
              100 * *std::max_element(ratio.begin(), ratio.end()));
}

template <class Value>
void fill(const std::string& path, const char* dataset, hid_t type, const std::vector<Value>& values) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t data = H5Dopen2(file, dataset, H5P_DEFAULT);
  if (H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) throw IoError("not written");
  H5Dclose(data);
  H5Fclose(file);
}

void measure_opening(const std::string& folder) {
  constexpr std::int64_t images = 1000000;
  const std::string path = folder + "/million.h5";
  ResultsLayout layout = layout_of(images, 1);
  for (DatasetLayout& dataset : layout.datasets) dataset.row_shape = {1};
  auto start = Clock::now();
  ResultsFile::create(path, layout, Communicator::self(), Durability::kill_safe).close();
  std::printf("| made | %.2f |\n", seconds_since(start));
  std::vector<unsigned char> states(images);
  for (std::size_t k = 0; k < states.size(); k += 2) states[k] = 1;
  fill(path, "/image/state", H5T_NATIVE_UCHAR, states);
  fill(path, "/image/seconds", H5T_NATIVE_FLOAT, std::vector<float>(images, 0.5F));

  std::vector<double> times;
  for (int turn = 0; turn < kTurns; ++turn) {
    start = Clock::now();
    const auto file = ResultsFile::open_for_reading(path);
    if (file.states().size() != static_cast<std::size_t>(images)) throw IoError("not what was written");
    times.push_back(seconds_since(start));
  }
  std::printf("| opened, all states read | %.2f |\n", median(times));
}

}  // namespace

int main(int argc, char** argv) {
  MpiSession session(argc, argv);
  if (argc != 3) return 64;
  if (std::strcmp(argv[1], "write") == 0) measure_writing(argv[2]);
  if (std::strcmp(argv[1], "million") == 0) measure_opening(argv[2]);
}
