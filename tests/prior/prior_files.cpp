#include "prior_files.hpp"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "prior/files/safetensors.hpp"

namespace dwgf::test {

fs::path data(const std::string& name) {
  return fs::path(DWGF_TEST_DATA) / "prior" / name;
}

std::map<std::string, at::Tensor> read_all(const fs::path& path) {
  const SafetensorsFile file(path);
  std::map<std::string, at::Tensor> out;
  for (const auto& tensor : file.tensors()) {
    if (tensor.dtype[0] == 'F' || tensor.dtype == "BF16") out[tensor.name] = file.view(tensor).clone();
  }
  return out;
}

namespace {

void copy_tokenizer(const char* name, const fs::path& folder) {
  const auto replace = fs::copy_options::recursive | fs::copy_options::overwrite_existing;
  fs::create_directory(folder);
  for (const char* part : {"plain", name}) fs::copy(data("text") / part, folder, replace);
}

}  // namespace

void copy_text(const std::string& like, const fs::path& folder) {
  fs::copy(data("text") / like, folder, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  copy_tokenizer(like == "sd2" ? "exclamation" : "published", folder / "tokenizer");
  if (like == "sdxl") copy_tokenizer("second", folder / "tokenizer_2");
}

const DdpmSchedule& schedule_of(const Prior& prior) {
  return dynamic_cast<const DdpmSchedule&>(*prior.path);
}

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return 1e300;
  const at::Tensor right = b.to(at::kDouble);
  return ((a.to(at::kDouble) - right).abs().max() / right.abs().max()).item<double>();
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "dwgf-prior-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw IoError("cannot make a temporary folder");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string read_bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string with_header(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + data;
}

std::string safetensors_bytes(const std::map<std::string, at::Tensor>& tensors) {
  static const std::map<at::ScalarType, std::string> names = {{at::kDouble, "F64"},
                                                              {at::kFloat, "F32"},
                                                              {at::kHalf, "F16"},
                                                              {at::kBFloat16, "BF16"},
                                                              {at::kLong, "I64"}};
  nlohmann::json header = nlohmann::json::object();
  std::string bytes;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor dense = tensor.contiguous();
    const auto begin = bytes.size();
    bytes.append(static_cast<const char*>(dense.const_data_ptr()), dense.nbytes());
    header[name] = {{"dtype", names.at(dense.scalar_type())},
                    {"shape", dense.sizes().vec()},
                    {"data_offsets", {begin, bytes.size()}}};
  }
  return with_header(header.dump(), bytes);
}

}  // namespace dwgf::test
