#include "support/portable_grey.hpp"

#include <fstream>

#include <dwgf/base/error.hpp>

namespace dwgf::test {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw DataError(path + " is not a portable grey map that can be read (" + why + ")");
}

PictureSize read_header(std::ifstream& file, const std::string& path) {
  std::string magic;
  PictureSize size;
  int largest = 0;
  file >> magic >> size.width >> size.height >> largest;
  file.get();  // the one blank before the pixels
  if (!file || magic != "P5" || largest != 255) refuse(path, "its header is damaged");
  if (size.height < 1 || size.width < 1 || size.height > 4096 || size.width > 4096)
    refuse(path, "its size is 0 or more than is taken");
  return size;
}

PictureSize read_size(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return read_header(file, path);
}

ImagePixels read(const std::string& path, const PictureChoices&) {
  std::ifstream file(path, std::ios::binary);
  const PictureSize size = read_header(file, path);
  std::string bytes(static_cast<std::size_t>(size.height * size.width), '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) refuse(path, "it is truncated");
  ImagePixels pixels{1, size.height, size.width, {}};
  for (const char byte : bytes)
    pixels.values.push_back(static_cast<float>(static_cast<unsigned char>(byte) / 127.5 - 1.0));
  return pixels;
}

}  // namespace

PictureFormat portable_grey() {
  return {"PGM", {".pgm"}, read_size, read};
}

}  // namespace dwgf::test
