#include "prior/files/safetensors.hpp"

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <sys/stat.h>

#include <dwgf/base/error.hpp>

#include "prior_files.hpp"

namespace dwgf {
namespace {

using test::message_of, test::with_header;

class Safetensors : public ::testing::Test {
 protected:
  SafetensorsFile open(const std::string& bytes) const {
    const auto path = folder_.path() / "file.safetensors";
    std::filesystem::remove(path);  // a file before it may still be mapped
    test::write_bytes(path, bytes);
    return SafetensorsFile(path);
  }
  test::TemporaryFolder folder_;
};

TEST_F(Safetensors, ReadsEveryFloatingType) {
  const at::Tensor values = at::arange(6, at::kDouble).view({2, 3}) - 2.5;
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    const auto file =
        open(test::safetensors_bytes({{"a.weight", values.to(type)}, {"b", values[0].to(type)}}));
    ASSERT_EQ(file.tensors().size(), 2U);
    EXPECT_EQ(file.tensors()[0].name, "a.weight");
    EXPECT_TRUE(at::equal(file.view(file.tensors()[0]), values.to(type)));
    EXPECT_TRUE(at::equal(file.view(file.tensors()[1]), values[0].to(type)));
  }
}

TEST_F(Safetensors, ReadsScalarsEmptyTensorsAndMetadata) {
  const auto file = open(with_header(
      R"({"__metadata__":{"format":"pt"},"none":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]},"one":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  )",
      std::string(4, '\0')));
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_EQ(file.view(file.tensors()[0]).numel(), 0);
  EXPECT_EQ(file.view(file.tensors()[1]).item<float>(), 0.0F);
}

TEST_F(Safetensors, ReadsTensorsAtAnyAddress) {
  for (int padding = 0; padding < 9; ++padding) {
    const auto file = open(
        with_header(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})" + std::string(padding, ' '),
                    std::string("\0\0\0\0\0\0\xF0\x3F", 8)));
    EXPECT_EQ(file.view(file.tensors()[0]).item<double>(), 1.0);
  }
}

TEST_F(Safetensors, ListsOtherTypesButDoesNotReadThem) {
  const auto file = open(test::safetensors_bytes({{"position_ids", at::arange(3)}}));
  EXPECT_EQ(file.tensors()[0].dtype, "I64");
  const auto message = message_of<DataError>([&] { (void)file.view(file.tensors()[0]); });
  EXPECT_NE(message.find("position_ids"), std::string::npos);
  EXPECT_NE(message.find("I64"), std::string::npos);
}

TEST_F(Safetensors, MovesTheMapping) {
  auto first = open(test::safetensors_bytes({{"x", at::ones({4})}}));
  SafetensorsFile second(std::move(first));
  EXPECT_EQ(second.view(second.tensors()[0]).sum().item<float>(), 4.0F);
  SafetensorsFile third = open(test::safetensors_bytes({{"y", at::zeros({2})}}));
  third = std::move(second);
  EXPECT_EQ(third.view(third.tensors()[0]).sum().item<float>(), 4.0F);
}

TEST_F(Safetensors, NamesWhatIsNotAFile) {
  const auto missing = folder_.path() / "nowhere.safetensors";
  EXPECT_NE(message_of<NotFoundError>([&] { SafetensorsFile{missing}; }).find("nowhere.safetensors"),
            std::string::npos);
  EXPECT_THROW(SafetensorsFile{folder_.path()}, DataError);
  const auto pipe = folder_.path() / "pipe.safetensors";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(SafetensorsFile{pipe}, DataError);
}

struct Hostile {
  const char* name;
  std::string bytes;
  const char* says;  ///< part of the message
};

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                std::size_t data) {
  return with_header(
      R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}",
      std::string(data, 'd'));
}

std::string two(const std::string& first, const std::string& second, std::size_t data) {
  return with_header(R"({"x":{"dtype":"U8","shape":[4],"data_offsets":)" + first +
                         R"(},"y":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
                     std::string(data, 'd'));
}

std::string claimed(std::uint64_t length, const std::string& rest) {
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + rest;
}

std::vector<Hostile> hostile_files() {
  const std::string f32 = R"("F32")";
  return {
      {"empty file", "", "empty"},
      {"too short", "abc", "only 3 bytes"},
      {"nothing but a length", claimed(0, ""), "not valid JSON"},
      {"header longer than the file", claimed(1000, "{}"), "cut short"},
      {"header length wraps", claimed(~std::uint64_t{0}, "{}"), "at most 100000000"},
      {"header length wraps with the 8", claimed(~std::uint64_t{0} - 7, "{}"), "at most"},
      {"header of 100 MB and one", claimed(100'000'001, "{}"), "at most"},
      {"a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
       "git lfs pull"},
      {"a pickle", std::string("PK\3\4") + std::string(100, '\0'), ""},
      {"header is not JSON", with_header("not json", ""), "not valid JSON"},
      {"header is cut", with_header(R"({"x":{"dtype":"F32")", ""), "not valid JSON"},
      {"header is a list", with_header("[1,2]", ""), "not a JSON object"},
      {"header is a number", with_header("3", ""), "not a JSON object"},
      {"header has a tail", with_header("{}{}", ""), "not valid JSON"},
      {"header is not UTF-8", with_header("{\"\xff\xfe\":1}", ""), "not valid JSON"},
      {"header holds NUL", with_header(std::string("{\0}", 3), ""), "not valid JSON"},
      {"deep lists", with_header("{\"x\":" + std::string(100'000, '['), ""), "nested"},
      {"deep objects",
       with_header(
           [] {
             std::string s;
             for (int i = 0; i < 50'000; ++i) s += "{\"a\":";
             return s;
           }(),
           ""),
       "nested"},
      {"a name twice",
       with_header(
           R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
           ""),
       "more than once"},
      {"metadata not an object", with_header(R"({"__metadata__":3})", ""), "metadata"},
      {"metadata not text", with_header(R"({"__metadata__":{"a":1}})", ""), "metadata"},
      {"a tensor that is a number", with_header(R"({"x":3})", ""), "'x'"},
      {"a tensor that is null", with_header(R"({"x":null})", ""), "'x'"},
      {"no dtype", with_header(R"({"x":{"shape":[],"data_offsets":[0,0]}})", ""), "no 'dtype'"},
      {"no shape", with_header(R"({"x":{"dtype":"F32","data_offsets":[0,0]}})", ""), "no 'shape'"},
      {"no offsets", with_header(R"({"x":{"dtype":"F32","shape":[]}})", ""), "no 'data_offsets'"},
      {"a key too many", with_header(R"({"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"z":1}})", ""),
       "other keys"},
      {"type is a number", one("32", "[1]", "[0,4]", 4), "type"},
      {"type unknown", one(R"("F31")", "[1]", "[0,4]", 4), "F31"},
      {"shape is text", one(f32, R"("1")", "[0,4]", 4), "shape"},
      {"shape is negative", one(f32, "[-1]", "[0,4]", 4), "shape"},
      {"shape is fractional", one(f32, "[1.0]", "[0,4]", 4), "shape"},
      {"shape is nested", one(f32, "[[1]]", "[0,4]", 4), "shape"},
      {"shape beyond 64 bits", one(f32, "[36893488147419103232]", "[0,4]", 4), "shape"},
      {"shape whose bytes wrap to 4", one(f32, "[4611686018427387905]", "[0,4]", 4), "memory"},
      {"shape whose product wraps to 0", one(f32, "[4294967296,4294967296]", "[0,0]", 0), "memory"},
      {"shape whose product is hidden by 0",
       one(f32, "[9223372036854775807,9223372036854775807,0]", "[0,0]", 0), "memory"},
      {"too many dimensions",
       one(
           f32,
           [] {
             std::string s = "[1";
             for (int i = 0; i < 1000; ++i) s += ",1";
             return s + "]";
           }(),
           "[0,4]", 4),
       "shape"},
      {"offsets are text", one(f32, "[1]", R"("0,4")", 4), "offsets"},
      {"one offset", one(f32, "[1]", "[0]", 4), "offsets"},
      {"three offsets", one(f32, "[1]", "[0,4,8]", 4), "offsets"},
      {"negative offset", one(f32, "[1]", "[-4,0]", 4), "offsets"},
      {"offsets reversed", one(f32, "[1]", "[4,0]", 4), "offsets"},
      {"offsets fractional", one(f32, "[1]", "[0,4.0]", 4), "offsets"},
      {"offsets wrap", one(f32, "[1]", "[18446744073709551612,0]", 4), "offsets"},
      {"offsets at the end of the world", one(f32, "[1]", "[18446744073709551611,18446744073709551615]", 4),
       "hole"},
      {"fewer bytes than the shape", one(f32, "[2]", "[0,4]", 4), "needs 8 bytes"},
      {"more bytes than the shape", one(f32, "[1]", "[0,8]", 8), "needs 4 bytes"},
      {"half bytes", one(R"("F4")", "[3]", "[0,1]", 1), "whole bytes"},
      {"beyond the file", one(f32, "[2]", "[0,8]", 4), "cut short"},
      {"bytes left over", one(f32, "[1]", "[0,4]", 5), "behind its last"},
      {"no tensors but bytes", with_header("{}", "d"), "behind its last"},
      {"a hole at the start", one(f32, "[1]", "[4,8]", 8), "hole"},
      {"overlap", two("[0,4]", "[2,6]", 6), "overlaps"},
      {"the same bytes twice", two("[0,4]", "[0,4]", 4), "overlaps"},
      {"a hole between", two("[0,4]", "[5,9]", 9), "hole"},
  };
}

TEST_F(Safetensors, RefusesHostileHeaders) {
  for (const auto& file : hostile_files()) {
    SCOPED_TRACE(file.name);
    const auto message = message_of<DataError>([&] { (void)open(file.bytes); });
    EXPECT_NE(message.find(file.says), std::string::npos) << message;
    EXPECT_NE(message.find("file.safetensors"), std::string::npos) << message;
    EXPECT_LT(message.size(), 1000U);
  }
}

/// A mutated file either is refused with an Error, or is a valid file: then every tensor can be read to its
/// last byte.
TEST_F(Safetensors, SurvivesRandomMutations) {
  const std::string valid = test::safetensors_bytes({{"a", at::arange(12, at::kFloat).view({3, 4})},
                                                     {"b.weight", at::ones({2, 2, 2}, at::kHalf)},
                                                     {"c", at::zeros({5}, at::kDouble)},
                                                     {"ids", at::arange(4)}});
  std::uint64_t header = 0;
  std::memcpy(&header, valid.data(), 8);
  std::mt19937 random(7);
  const auto below = [&](std::uint64_t bound) { return static_cast<std::size_t>(random() % bound); };
  const std::vector<std::string> pieces = {"0",  "9",   "-",    "[",           "]",   "{",   "}",   ",",
                                           "\"", "1e9", "null", "99999999999", "\\u", "F64", "F32", "BF16"};
  int accepted = 0;
  for (int trial = 0; trial < 2500; ++trial) {
    SCOPED_TRACE(trial);
    std::string bytes = valid;
    for (std::size_t change = 0; change <= below(3); ++change) {
      const std::size_t at = below(std::min<std::size_t>(bytes.size(), below(4) == 0 ? 8 : 8 + header));
      switch (below(6)) {
        case 0:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
        case 1:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 2:
          bytes.erase(at, 1 + below(4));
          break;
        case 3:
          bytes.insert(at, pieces[below(pieces.size())]);
          break;
        case 4:
          bytes.resize(1 + below(bytes.size()));
          break;
        default:
          bytes[at] = static_cast<char>('0' + below(10));
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    try {
      const auto file = open(bytes);
      for (const auto& tensor : file.tensors()) {
        if (tensor.dtype[0] != 'F' && tensor.dtype != "BF16") continue;
        (void)file.view(tensor).to(at::kDouble).sum().item<double>();
      }
      ++accepted;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ExitCode::bad_data) << error.what();
    }
  }
  EXPECT_GT(accepted, 10);  // some changes are harmless, such as of a name
  EXPECT_LT(accepted, 2000);
}

}  // namespace
}  // namespace dwgf
