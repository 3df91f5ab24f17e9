#include "job/operator_files.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "data/npy.hpp"
#include "data/png.hpp"
#include "prior/files/sha256.hpp"

namespace dwgf {
namespace {

at::Tensor mask_of_png(const std::string& path) {
  const PngImage image = read_png(path);
  if (image.channels != 1)
    throw DataError("{} has {} channels; save the mask as a grey image without alpha", path, image.channels);
  std::vector<float> values(image.samples.begin(), image.samples.end());
  return at::tensor(at::ArrayRef<float>(values)).view({image.height, image.width});
}

std::string extension_of(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

std::string hash_of_module(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    throw NotFoundError("problem.operator: there is no module '{}'; name the file of a TorchScript module",
                        path);
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) throw IoError("problem.operator: the module '{}' cannot be read", path);
  return sha256_of(bytes);
}

/// One stage `torch:FILE[,...]`.
std::string with_module_hash(const std::string& stage, const std::string& arguments) {
  constexpr std::string_view key = "sha256=";
  const std::vector<std::string> words = split(arguments, ',');
  const std::string path = trim(words.front()), found = hash_of_module(path);
  for (const std::string& word : words) {
    const std::string told = trim(word);
    if (!told.starts_with(key)) continue;
    if (told.substr(key.size()) == found) return stage;
    throw DataError(
        "problem.operator: '{}' is not the module that was used (its SHA-256 is {}, it was {}); put that one "
        "back, or begin a new results file",
        path, found, told.substr(key.size()));
  }
  return stage + "," + std::string(key) + found;
}

}  // namespace

std::string with_module_hashes(const std::string& spec) {
  std::string pinned;
  bool any = false;
  for (const std::string& part : split(spec, '|')) {
    const std::string stage = trim(part);
    const std::size_t colon = stage.find(':');
    const bool module = trim(stage.substr(0, colon)) == "torch" && colon != std::string::npos;
    any = any || module;
    if (!pinned.empty()) pinned += " | ";
    pinned += module ? with_module_hash(stage, stage.substr(colon + 1)) : stage;
  }
  return any ? pinned : spec;
}

at::Tensor load_operator_file(const std::string& kind, const std::string& path) {
  const std::string where = formatted("problem.operator: the {} ", kind);
  try {
    if (kind == "mask" && extension_of(path) == ".png") return mask_of_png(path);
    const NpyFile file(path);
    const std::vector<float> values = file.read(0, file.size());
    const at::Tensor array = at::tensor(at::ArrayRef<float>(values)).reshape(file.shape());
    return kind == "matrix" && file.type() == NumberType::uint8 ? array / 127.5 - 1 : array;
  } catch (const NotFoundError& error) {
    throw NotFoundError(where + error.what());
  } catch (const DataError& error) {
    throw DataError(where + error.what());
  }
}

}  // namespace dwgf
