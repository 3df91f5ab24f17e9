// Files that are not results files, or no longer: one clean error each, and nothing from HDF5 on standard
// error.
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <hdf5.h>

#include <dwgf/base/error.hpp>

#include "results_support.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Damage : public testing::Test {
 protected:
  void SetUp() override {
    path_ = temporary_of_rank("damage.h5");
    auto file = ResultsFile::create(path_, small_layout(), Communicator::self());
    file.fail(1, "why", 1);
    file.close();
    testing::internal::CaptureStderr();
  }
  void TearDown() override {
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
    fs::remove(path_);
  }
  // Opening fails in both ways, with the file's name and this text.
  void expect_refused(const std::string& text) const {
    for (const bool writing : {false, true}) {
      const std::string message = message_of<DataError>([&] {
        writing ? ResultsFile::open_for_writing(path_, Communicator::self())
                : ResultsFile::open_for_reading(path_);
      });
      EXPECT_NE(message.find(path_), std::string::npos) << message;
      EXPECT_NE(message.find(text), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }
  // Changes the file with HDF5 itself.
  void edit(const std::function<void(hid_t)>& change) const {
    const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    change(file);
    H5Fclose(file);
  }
  static void add_dataset(hid_t file, const char* name, hid_t type, std::vector<hsize_t> shape) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    H5Dclose(H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
  }
  std::string path_;
};

TEST_F(Damage, FilesThatAreNotHdf5) {
  for (const std::string& content :
       {std::string(), std::string("x"), std::string(5000, '\0'), std::string(5000, 'z')}) {
    write_content(path_, content);
    expect_refused("not an HDF5 file");
  }
}

TEST_F(Damage, TruncatedFiles) {
  const std::string whole = content_of(path_);
  for (const double part : {0.9999, 0.9, 0.5, 0.1}) {
    write_content(path_, whole.substr(0, static_cast<std::size_t>(part * static_cast<double>(whole.size()))));
    expect_refused("truncated");
  }
  write_content(path_, whole.substr(0, whole.size() - 1));
  expect_refused("truncated");
  for (const std::size_t length : {60u, 8u}) {
    write_content(path_, whole.substr(0, length));
    expect_refused("");
  }
}

TEST_F(Damage, HolesInTheStructure) {
  const std::string whole = content_of(path_);
  for (const std::size_t at : {10u, 30u, 90u, 200u, 700u, 1000u}) {
    std::string holed = whole;
    holed.replace(at, 16, 16, '\xFF');
    write_content(path_, holed);
    try {
      ResultsFile::open_for_reading(path_);  // or the hole is where nothing matters
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

TEST_F(Damage, AnotherProgramsFile) {
  edit([](hid_t file) { H5Adelete(file, "dwgf_format"); });
  expect_refused("dwgf_format");
}

TEST_F(Damage, AnotherFormat) {
  edit([](hid_t file) {
    const int format = 2;
    const hid_t attribute = H5Aopen(file, "dwgf_format", H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_INT, &format);
    H5Aclose(attribute);
  });
  expect_refused("format 2");
}

TEST_F(Damage, AMissingRecord) {
  edit([](hid_t file) { H5Ldelete(file, "/image/crc32", H5P_DEFAULT); });
  expect_refused("/image/crc32");
}

TEST_F(Damage, ARecordOfAnotherType) {
  edit([](hid_t file) {
    H5Ldelete(file, "/image/state", H5P_DEFAULT);
    add_dataset(file, "/image/state", H5T_IEEE_F32LE, {4});
  });
  expect_refused("/image/state");
}

TEST_F(Damage, ARecordOfAnotherLength) {
  edit([](hid_t file) {
    H5Ldelete(file, "/image/seconds", H5P_DEFAULT);
    add_dataset(file, "/image/seconds", H5T_IEEE_F32LE, {5});
  });
  expect_refused("/image/seconds");
}

TEST_F(Damage, ADatasetOfAnotherTypeOrLength) {
  edit([](hid_t file) { add_dataset(file, "/posterior/strange", H5T_STD_I64LE, {4, 2}); });
  expect_refused("/posterior/strange");
  edit([](hid_t file) {
    H5Ldelete(file, "/posterior/strange", H5P_DEFAULT);
    add_dataset(file, "/posterior/strange", H5T_IEEE_F32LE, {3, 2});
  });
  expect_refused("/posterior/strange");
}

TEST_F(Damage, LinksToElsewhere) {
  edit([](hid_t file) {
    H5Lcreate_external("/etc/passwd", "/x", file, "/posterior/link", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refused("link");
}

TEST_F(Damage, AnUnknownState) {
  edit([](hid_t file) {
    const unsigned char states[4] = {0, 1, 2, 3};
    const hid_t dataset = H5Dopen2(file, "/image/state", H5P_DEFAULT);
    H5Dwrite(dataset, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, states);
    H5Dclose(dataset);
  });
  const auto file = ResultsFile::open_for_reading(path_);
  EXPECT_THROW(file.states(), DataError);
  EXPECT_THROW(file.state(3), DataError);
  EXPECT_EQ(file.state(2), ImageState::failed);
}

TEST_F(Damage, ADatasetInPiecesIsReadButNotWritten) {
  edit([](hid_t file) {
    const hsize_t shape[2] = {4, 2}, chunk[2] = {1, 2};
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, shape, nullptr);
    H5Pset_chunk(list, 2, chunk);
    H5Dclose(H5Dcreate2(file, "/posterior/chunked", H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(list);
  });
  EXPECT_EQ(ResultsFile::open_for_reading(path_).read_floats("/posterior/chunked", 3).size(), 2u);
  EXPECT_THROW(ResultsFile::open_for_writing(path_, Communicator::self()), DataError);
}

}  // namespace
}  // namespace dwgf
