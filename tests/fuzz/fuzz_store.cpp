// The readers of `store`: pictures, arrays, measurements.
#include <string_view>

#include <dwgf/data/picture.hpp>

#include "data/images.hpp"
#include "data/npy.hpp"
#include "fuzz.hpp"
#include "hdf5/hdf5_arrays.hpp"
#include "store/hdf5_probe.hpp"
#include "store/measurements.hpp"

namespace {

using namespace dwgf;

const std::string data = DWGF_TEST_DATA;
const std::string source = DWGF_SOURCE_DIR;

std::vector<std::string> tiffs() {
  std::vector<std::string> files = files_in(data + "/pictures", ".tif");
  files.push_back(data + "/pictures/colour8.tiff");
  files.push_back(data + "/pictures/colour16-big-endian.TIF");
  return files;
}

void read_pictures_file(const std::string& path) {
  read_picture_size(path);
  read_picture(path);
}

void read_npy(const std::string& path) {
  const NpyFile file(path);
  if (file.size() < 1 << 24) file.read(0, file.size());
  const auto images = open_images(path);
  images->read(0, 3);
}

// As the program reads HDF5 files of others: tried in a process of its own first, this program started again.
void read_measurements(const std::string& path) {
  require_survivable(path, "/proc/self/exe");
  const MeasurementsFile file(path);
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(file.entries().size()) && k < 4; ++k) {
    file.measurement(k);
    if (file.has_truth()) file.truth(k);
    for (const char* kind : {"mask", "kernel"})
      if (file.has_array(kind)) file.array(kind, kind, k);
  }
}

void read_hdf5_images(const std::string& path) {
  require_survivable(path, "/proc/self/exe");
  const auto images = open_images(path + ":/measurement/y");
  images->read(0, 3);
}

// As a prior's mixture is read.
void read_hdf5_arrays(const std::string& path) {
  require_survivable(path, "/proc/self/exe");
  const Hdf5Arrays file(path);
  for (const char* name : {"beta_start", "sigma"}) file.number(name);
  file.text("operator");
  for (const char* dataset : {"/measurement/y", "/operator/mask", "/truth/x"})
    if (file.has(dataset)) file.read(dataset);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == probe_argument) return answer_probe(argv[2]);
  MpiSession session(argc, argv);
  return fuzz_main(argc, argv,
                   {{"png", files_in(source + "/jobs/data/fashion", ".png"), read_pictures_file},
                    {"jpeg",
                     {data + "/pictures/colour.jpeg", data + "/pictures/grey.jpg",
                      data + "/pictures/progressive.jpg", data + "/pictures/subsampled.JPG"},
                     read_pictures_file},
                    {"tiff", tiffs(), read_pictures_file},
                    {"npy", files_in(data + "/pictures", ".npy"), read_npy},
                    {"measurements",
                     {data + "/measurements/fixed-texts.h5", data + "/measurements/h5py.h5"},
                     read_measurements,
                     /*by_hdf5=*/true},
                    {"hdf5-images",
                     {data + "/measurements/fixed-texts.h5"},
                     read_hdf5_images,
                     /*by_hdf5=*/true},
                    {"hdf5-arrays",
                     {data + "/measurements/h5py.h5", data + "/measurements/fixed-texts.h5"},
                     read_hdf5_arrays,
                     /*by_hdf5=*/true}});
}
