#include "data/npy.hpp"

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <dwgf/base/error.hpp>

#include "mutation.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

std::string write_file(const std::string& content) {
  const std::string path = temporary_of_rank("hostile.npy");
  write_content(path, content);
  return path;
}

// A file of this format, with the header padded as numpy does.
std::string npy(std::string header, const std::string& data, int major = 1) {
  const std::size_t begin = major == 1 ? 10 : 12;
  header.resize((begin + header.size() + 64) / 64 * 64 - begin - 1, ' ');
  header += '\n';
  std::string content = "\x93NUMPY" + std::string{static_cast<char>(major), 0};
  for (std::size_t k = 0; k < begin - 8; ++k) content += static_cast<char>(header.size() >> 8 * k);
  return content + header + data;
}

std::string dictionary(const std::string& type, const std::string& shape,
                       const std::string& order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

template <class Number>
std::string bytes_of(const std::vector<Number>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number)};
}

const std::string six = bytes_of(std::vector<float>{0, 1, 2, 3, 4, 5});

TEST(Npy, FilesOfNumpyItselfAreRead) {
  const std::string folder = std::string(DWGF_TEST_DATA) + "/store/";
  const NpyFile floats(folder + "float32.npy");
  EXPECT_EQ(floats.type(), NumberType::float32);
  EXPECT_EQ(floats.shape(), (std::vector<std::int64_t>{2, 1, 2, 3}));
  EXPECT_EQ(floats.read(6, 6), (std::vector<float>{0.0f, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f}));
  const NpyFile doubles(folder + "float64.npy");
  EXPECT_EQ(doubles.type(), NumberType::float64);
  EXPECT_EQ(doubles.read(0, 3), (std::vector<float>{0.1f, -0.2f, 1e-3f}));
  const NpyFile levels(folder + "uint8.npy");
  EXPECT_EQ(levels.shape(), (std::vector<std::int64_t>{3, 2, 2}));
  EXPECT_EQ(levels.read(9, 3), (std::vector<float>{9, 10, 255}));
  EXPECT_THROW(NpyFile(folder + "fortran.npy"), DataError);
  EXPECT_THROW(NpyFile(folder + "int64.npy"), DataError);
}

TEST(Npy, EveryFormatAndSpellingIsRead) {
  for (const int major : {1, 2, 3}) {
    const NpyFile file(write_file(npy(dictionary("<f4", "(2, 3)"), six, major)));
    EXPECT_EQ(file.shape(), (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(file.read(0, 6), (std::vector<float>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(file.read(4, 2), (std::vector<float>{4, 5}));
    EXPECT_TRUE(file.read(6, 0).empty());
    EXPECT_THROW(file.read(5, 2), InternalError);
    EXPECT_THROW(file.read(-1, 1), InternalError);
  }
  const std::vector<std::pair<std::string, std::vector<std::int64_t>>> headers = {
      {dictionary("<f4", "(6,)"), {6}},
      {dictionary("<f4", "(6,)", "True"), {6}},  // one axis has no order
      {dictionary("<f4", "(1, 2, 3,)"), {1, 2, 3}},
      {"{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}", {2, 3}},
      {"{ 'shape' : ( 2 , 3 ) , 'fortran_order' : False , 'descr' : '<f4' }", {2, 3}}};
  for (const auto& [header, shape] : headers)
    EXPECT_EQ(NpyFile(write_file(npy(header, six))).shape(), shape) << header;
  EXPECT_EQ(NpyFile(write_file(npy(dictionary("<f4", "()"), six.substr(0, 4)))).size(), 1);
  EXPECT_EQ(NpyFile(write_file(npy(dictionary("<f4", "(3, 0)"), ""))).size(), 0);
}

TEST(Npy, DoublesAreRounded) {
  const std::vector<double> values{0.1, 1e300, -1e-300};
  const NpyFile file(write_file(npy(dictionary("<f8", "(3,)"), bytes_of(values))));
  EXPECT_EQ(file.read(0, 3), (std::vector<float>{0.1f, std::numeric_limits<float>::infinity(), -0.0f}));
}

TEST(Npy, HostileFilesAreRefused) {
  const std::string good = dictionary("<f4", "(2, 3)");
  std::vector<std::pair<std::string, std::string>> files = {
      {"empty", ""},
      {"short", "\x93NUMPY"},
      {"another format", "PK\x03\x04" + std::string(200, 'x')},
      {"format 4", npy(good, six, 4)},
      {"header beyond the end", std::string("\x93NUMPY\x01\0\xFF\xFF", 10) + good},
      {"header of 4 GiB", std::string("\x93NUMPY\x02\0\xFF\xFF\xFF\xFF", 12) + good},
      {"no header", std::string("\x93NUMPY\x01\0\0\0", 10) + six},
      {"truncated", npy(good, six.substr(0, 23))},
      {"no data", npy(good, "")},
      {"something behind", npy(good, six + "x")},
      {"two arrays", npy(good, six) + npy(good, six)}};
  for (const std::string header :
       {"", "{", "{}", "}", "[]", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } x",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': Fals, 'shape': (2, 3)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '<f\\64', 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}"}) {
    files.emplace_back(header, npy(header, six));
  }
  for (const std::string type : {">f4", "<f2", "<i4", "<u1", "|i1", "|b1", "|O", "<c8", "", "f4"}) {
    files.emplace_back("type " + type, npy(dictionary(type, "(2, 3)"), six));
  }
  for (const std::string shape :
       {"(2, 3", "2, 3)", "(-2, -3)", "(2, 3, 2)", "(6)", "[2, 3]", "(2,, 3)", "(,)", "(2 3)", "(2., 3)",
        "(0x6,)", "(4294967296, 4294967296)", "(9223372036854775807, 2)", "(18446744073709551616,)",
        "(281474976710656, 0, 281474976710656, 281474976710656)", "(99999999999999999999999999,)",
        "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "
        "6)"}) {
    files.emplace_back("shape " + shape, npy(dictionary("<f4", shape), six));
  }
  for (const auto& [what, content] : files) {
    SCOPED_TRACE(what);
    const std::string path = write_file(content);
    const std::string message = message_of<DataError>([&] { NpyFile{path}; });
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  EXPECT_NE(message_of<DataError>([&] {
              NpyFile{write_file(npy(dictionary("<f4", "(2, 3)", "True"), six))};
            }).find("ascontiguousarray"),
            std::string::npos);
  EXPECT_THROW(NpyFile{temporary("none.npy")}, NotFoundError);
  EXPECT_THROW(NpyFile{TemporaryDirectory::path()}, DataError);
}

TEST(Npy, AFileCutWhileOpenIsNoticed) {
  const std::string path = write_file(npy(dictionary("<f4", "(2, 3)"), six));
  const NpyFile file(path);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4);
  EXPECT_THROW(file.read(0, 6), DataError);
  EXPECT_EQ(file.read(0, 5).size(), 5u);
}

TEST(Npy, MutatedFilesAreReadOrRefused) {
  if (!on_one_rank()) return;
  const std::vector<std::string> seeds = {npy(dictionary("<f4", "(2, 3)"), six),
                                          npy(dictionary("|u1", "(1, 2, 3)"), "abcdef"),
                                          npy(dictionary("<f8", "(3,)"), six, 2)};
  Mutator mutator(2);
  int read = 0, refused = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::string content = seeds[static_cast<std::size_t>(trial) % seeds.size()];
    // Mostly in the header, which is what there is to attack.
    std::string head = content.substr(0, 80);
    mutator.change(trial % 4 ? head : content);
    if (trial % 4) content = head + content.substr(80);
    try {
      const NpyFile file(write_file(content));
      ASSERT_LE(file.size(), static_cast<std::int64_t>(content.size()));
      ASSERT_EQ(static_cast<std::int64_t>(file.read(0, file.size()).size()), file.size());
      ++read;
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 20);
  EXPECT_GT(refused, 1000);
}

TEST(Npy, WrittenFilesReadBackAndAreAligned) {
  const std::vector<float> values{1, -2, 3.5f, 4, 5, 6};
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{
           {6}, {2, 3}, {1, 2, 3}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 6}}) {
    const std::string path = temporary_of_rank("written.npy");
    write_npy(path, shape, values);
    EXPECT_EQ(std::filesystem::file_size(path) % 64, 24u);
    const NpyFile file(path);
    EXPECT_EQ(file.shape(), shape);
    EXPECT_EQ(file.read(0, 6), values);
  }
  write_npy(temporary_of_rank("one.npy"), {}, std::vector<float>{7});
  EXPECT_EQ(NpyFile(temporary_of_rank("one.npy")).read(0, 1), std::vector<float>{7});
  EXPECT_THROW(write_npy(temporary("x.npy"), {5}, values), InternalError);
  EXPECT_THROW(write_npy(temporary("missing/x.npy"), {6}, values), IoError);
}

}  // namespace
}  // namespace dwgf
