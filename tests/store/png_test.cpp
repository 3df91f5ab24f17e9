#include "data/png.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include <dwgf/base/error.hpp>

#include "mutation.hpp"
#include "temporary_directory.hpp"

namespace dwgf {
namespace {

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(static_cast<std::uint32_t>(crc));
}

std::string deflated(const std::string& raw) {
  uLongf length = compressBound(raw.size());
  std::string out(length, '\0');
  compress(reinterpret_cast<Bytef*>(out.data()), &length, reinterpret_cast<const Bytef*>(raw.data()),
           raw.size());
  out.resize(length);
  return out;
}

const std::string signature = "\x89PNG\r\n\x1A\n";

// colour: 0 grey, 2 colour, 3 palette, 4 grey + alpha, 6 colour + alpha
std::string header(std::uint32_t width, std::uint32_t height, int bits, int colour, int interlace = 0) {
  return chunk("IHDR", big_endian(width) + big_endian(height) +
                           std::string{static_cast<char>(bits), static_cast<char>(colour), 0, 0,
                                       static_cast<char>(interlace)});
}

// Rows are given without the filter byte before each.
std::string pixels(const std::vector<std::string>& rows) {
  std::string raw;
  for (const auto& row : rows) raw += std::string(1, '\0') + row;
  return chunk("IDAT", deflated(raw));
}

const std::string end = chunk("IEND", "");

std::string write_file(const std::string& content) {
  const std::string path = temporary_of_rank("hostile.png");
  write_content(path, content);
  return path;
}

using Samples = std::vector<std::uint16_t>;

TEST(Png, GoesBackAndForth) {
  for (int channels = 1; channels <= 4; ++channels) {
    for (const int bits : {8, 16}) {
      PngImage image{5, 7, channels, bits, {}};
      for (int k = 0; k < 35 * channels; ++k) {
        image.samples.push_back(static_cast<std::uint16_t>(k * 7919 % (bits == 8 ? 256 : 65536)));
      }
      const std::string path = temporary_of_rank("there and back.png");
      write_png(path, image);
      const PngImage back = read_png(path);
      EXPECT_EQ(back.samples, image.samples);
      EXPECT_EQ(back.channels, channels);
      EXPECT_EQ(back.bits, bits);
      EXPECT_EQ(back.height, 5);
      EXPECT_EQ(back.width, 7);
      const PictureSize size = read_png_size(path);
      EXPECT_EQ(size.height, 5);
      EXPECT_EQ(size.width, 7);
      EXPECT_FALSE(std::filesystem::exists(path + ".part"));
    }
  }
}

TEST(Png, FewBitsAreExpanded) {
  const auto read = [](const std::string& content) { return read_png(write_file(content)); };
  EXPECT_EQ(read(signature + header(4, 2, 1, 0) + pixels({"\xA0", "\x50"}) + end).samples,
            (Samples{255, 0, 255, 0, 0, 255, 0, 255}));
  EXPECT_EQ(read(signature + header(4, 1, 2, 0) + pixels({"\x1B"}) + end).samples,
            (Samples{0, 85, 170, 255}));
  EXPECT_EQ(read(signature + header(2, 1, 4, 0) + pixels({"\x1F"}) + end).samples, (Samples{17, 255}));
  EXPECT_EQ(read(signature + header(1, 2, 16, 0) + pixels({"\x12\x34", "\xFF\xFE"}) + end).samples,
            (Samples{0x1234, 0xFFFE}));
}

TEST(Png, PalettesAreExpanded) {
  const std::string palette = chunk("PLTE", std::string("\x01\x02\x03\x0A\x0B\x0C", 6));
  const PngImage image = read_png(
      write_file(signature + header(2, 1, 8, 3) + palette + pixels({std::string("\x01\x00", 2)}) + end));
  EXPECT_EQ(image.channels, 3);
  EXPECT_EQ(image.samples, (Samples{10, 11, 12, 1, 2, 3}));
  const PngImage clear = read_png(
      write_file(signature + header(2, 1, 1, 3) + palette + chunk("tRNS", "\x40") + pixels({"\x40"}) + end));
  EXPECT_EQ(clear.channels, 4);
  EXPECT_EQ(clear.samples, (Samples{1, 2, 3, 64, 10, 11, 12, 255}));
}

TEST(Png, InterlacedFilesAreRead) {
  // Adam7 of a 2 x 2 picture: pass 1 is (0, 0), pass 6 is (0, 1), pass 7 is row 1.
  const PngImage image =
      read_png(write_file(signature + header(2, 2, 8, 0, 1) + pixels({"\x01", "\x02", "\x03\x04"}) + end));
  EXPECT_EQ(image.samples, (Samples{1, 2, 3, 4}));
}

TEST(Png, GammaIsLeftToWhoReadsPixels) {
  const PngImage image = read_png(write_file(signature + header(1, 1, 8, 0) +
                                             chunk("gAMA", big_endian(100000)) + pixels({"\x63"}) + end));
  EXPECT_EQ(image.samples, Samples{0x63});
}

TEST(Png, HostileFilesAreRefused) {
  const std::string good = pixels({"\x01"});
  const std::vector<std::pair<std::string, std::string>> files = {
      {"empty", ""},
      {"only the signature", signature},
      {"another format", "GIF89a" + std::string(100, '\0')},
      {"no header", signature + good + end},
      {"header with a wrong sum", signature + header(1, 1, 8, 0).replace(20, 1, "\x09") + good + end},
      {"no width", signature + header(0, 1, 8, 0) + good + end},
      {"no height", signature + header(1, 0, 8, 0) + good + end},
      {"negative width", signature + header(0xFFFFFFFF, 1, 8, 0) + good + end},
      {"width beyond the limit", signature + header(70000, 1, 8, 0) + good + end},
      {"a huge picture in a small file", signature + header(60000, 4000, 8, 2) + good + end},
      {"a picture beyond the limit", signature + header(60000, 60000, 1, 0) + good + end},
      {"3 bits", signature + header(1, 1, 3, 0) + good + end},
      {"palette of 16 bits", signature + header(1, 1, 16, 3) + good + end},
      {"unknown colour type", signature + header(1, 1, 8, 5) + good + end},
      {"palette missing", signature + header(1, 1, 8, 3) + good + end},
      {"no pixels", signature + header(1, 1, 8, 0) + end},
      {"too few pixels", signature + header(1, 3, 8, 0) + good + end},
      {"not deflated", signature + header(1, 1, 8, 0) + chunk("IDAT", "nonsense") + end},
      {"a wrong sum over the pixels",
       signature + header(1, 1, 8, 0) + good.substr(0, good.size() - 1) + "\x01" + end},
      {"unknown filter", signature + header(1, 1, 8, 0) + chunk("IDAT", deflated("\x07\x01")) + end},
      {"no end", signature + header(1, 1, 8, 0) + good},
      {"half an end", signature + header(1, 1, 8, 0) + good + end.substr(0, 6)},
      {"unknown critical chunk", signature + header(1, 1, 8, 0) + chunk("ABCD", "x") + good + end},
      {"two headers", signature + header(1, 1, 8, 0) + header(1, 1, 8, 0) + good + end},
  };
  for (const auto& [what, content] : files) {
    SCOPED_TRACE(what);
    const std::string path = write_file(content);
    const std::string message = message_of<DataError>([&] { read_png(path); });
    EXPECT_NE(message.find(path), std::string::npos) << message;
  }
  EXPECT_THROW(read_png(temporary("none.png")), NotFoundError);
  EXPECT_THROW(read_png_size(temporary("none.png")), NotFoundError);
  EXPECT_THROW(read_png(TemporaryDirectory::path()), DataError);
}

TEST(Png, MutatedFilesAreReadOrRefused) {
  if (!on_one_rank()) return;
  const std::string palette = chunk("PLTE", "abcdefghi");
  const std::vector<std::vector<std::string>> seeds = {
      {header(9, 7, 8, 2), chunk("gAMA", big_endian(45455)), chunk("tEXt", std::string("Title\0x", 7)),
       pixels(std::vector<std::string>(7, std::string(27, 'p'))), end},
      {header(9, 7, 2, 3, 1), palette, chunk("tRNS", "\x01\x02"),
       pixels(std::vector<std::string>(12, std::string(3, '\x1B'))), end},
      {header(5, 5, 16, 6), pixels(std::vector<std::string>(5, std::string(40, 'q'))), end}};
  Mutator mutator(1);
  int read = 0, refused = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    auto chunks = seeds[static_cast<std::size_t>(trial) % seeds.size()];
    std::string content = signature;
    if (trial % 2 == 0) {  // bytes of the file, which the checksums mostly catch
      for (const auto& part : chunks) content += part;
      mutator.change(content);
    } else {  // the data of a chunk under a right checksum, to get past them
      auto& part = chunks[mutator.below(chunks.size())];
      std::string data = part.substr(8, part.size() - 12);
      mutator.change(data);
      part = chunk(part.substr(4, 4), data);
      for (const auto& each : chunks) content += each;
    }
    const std::string path = write_file(content);
    try {
      const PngImage image = read_png(path);
      ASSERT_EQ(image.samples.size(), static_cast<std::size_t>(image.height * image.width * image.channels));
      ++read;
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 50);
  EXPECT_GT(refused, 500);
}

TEST(Png, WhatCannotBeWrittenIsSaid) {
  EXPECT_THROW(write_png(temporary("missing/x.png"), {1, 1, 1, 8, {0}}), IoError);
  EXPECT_THROW(write_png(temporary("x.png"), {1, 1, 1, 8, {256}}), InternalError);
  EXPECT_THROW(write_png(temporary("x.png"), {1, 1, 1, 4, {0}}), InternalError);
  EXPECT_THROW(write_png(temporary("x.png"), {2, 1, 1, 8, {0}}), InternalError);
  EXPECT_THROW(write_png("/dev/full/x.png", {1, 1, 1, 8, {0}}), IoError);
}

}  // namespace
}  // namespace dwgf
