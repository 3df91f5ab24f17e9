#include "prior/files/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "base/replace_file.hpp"
#include "prior/files/json_file.hpp"

namespace dwgf {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // the limit of the format's own implementation
constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMostBits = std::uint64_t{1} << 62;
constexpr std::size_t kMostDimensions = 64;  // LibTorch's own limit in its kernels

/// Bits of one element; nothing for a type that is not in the format.
std::optional<std::uint64_t> bits_of(const std::string& dtype) {
  static const std::map<std::string, std::uint64_t> bits = {
      {"BOOL", 8}, {"U8", 8},   {"I8", 8},    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"I16", 16},
      {"U16", 16}, {"F16", 16}, {"BF16", 16}, {"I32", 32},    {"U32", 32},    {"F32", 32},    {"F64", 64},
      {"I64", 64}, {"U64", 64}, {"C64", 64},  {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}};
  const auto found = bits.find(dtype);
  if (found == bits.end()) return std::nullopt;
  return found->second;
}

/// Takes a JSON number that is whole and not negative; false for anything else.
bool take_whole(const nlohmann::json& value, std::uint64_t& out) {
  if (!value.is_number_unsigned()) return false;
  out = value.get<std::uint64_t>();
  return true;
}

/// Checks of one file's header, with the file's name in every message.
class HeaderReader {
 public:
  HeaderReader(const std::filesystem::path& path, std::span<const std::byte> bytes)
      : path_(path), bytes_(bytes) {}

  std::string_view header() const {
    if (bytes_.size() >= kLengthBytes && std::memcmp(bytes_.data(), "version ", kLengthBytes) == 0) {
      fail(
          "is a Git LFS pointer and not the weights themselves; run `git lfs pull` in its repository, or "
          "download the file");
    }
    if (bytes_.size() < kLengthBytes)
      fail("has only {} bytes, fewer than any safetensors file; fetch it again", bytes_.size());
    std::uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), kLengthBytes);
    if (length > kMostHeaderBytes) {
      fail("claims a header of {} bytes (at most {} are allowed), so it is not a safetensors file", length,
           kMostHeaderBytes);
    }
    if (length > bytes_.size() - kLengthBytes) {
      fail("claims a header of {} bytes but has only {} in all: it is cut short; fetch it again", length,
           bytes_.size());
    }
    return {reinterpret_cast<const char*>(bytes_.data()) + kLengthBytes, static_cast<std::size_t>(length)};
  }

  StoredTensor tensor(const std::string& name, const nlohmann::json& entry) const {
    if (!entry.is_object()) fail_tensor(name, "is described by {}, not by an object", brief(entry));
    for (const char* key : {"dtype", "shape", "data_offsets"}) {
      if (!entry.contains(key)) fail_tensor(name, "has no '{}'", key);
    }
    if (entry.size() != 3)
      fail_tensor(name, "has other keys than dtype, shape and data_offsets: {}", brief(entry));
    StoredTensor out;
    out.name = name;
    if (!entry["dtype"].is_string()) fail_tensor(name, "has the type {}", brief(entry["dtype"]));
    out.dtype = entry["dtype"].get<std::string>();
    const auto bits = bits_of(out.dtype);
    if (!bits) fail_tensor(name, "has the type '{}', which the format does not have", shortened(out.dtype));

    const std::uint64_t bytes = read_shape(entry["shape"], *bits, out);
    read_offsets(entry["data_offsets"], bytes, out);
    return out;
  }

  /// @pre sorted by offsets
  void check_layout(const std::vector<StoredTensor>& tensors, std::uint64_t data_bytes) const {
    std::uint64_t position = 0;
    for (const auto& tensor : tensors) {
      if (tensor.begin < position)
        fail_tensor(tensor.name, "overlaps the tensor before it, at byte {} of the data", tensor.begin);
      if (tensor.begin > position)
        fail_tensor(tensor.name, "leaves a hole before it, of {} bytes", tensor.begin - position);
      position = tensor.end;
      if (position > data_bytes) {
        fail_tensor(
            tensor.name,
            "ends at byte {} of the data, but there are only {}: the file is cut short; fetch it again",
            position, data_bytes);
      }
    }
    if (position != data_bytes)
      fail("has {} bytes behind its last tensor; fetch it again", data_bytes - position);
  }

  template <class... Values>
  [[noreturn]] void fail(FormatText<std::type_identity_t<Values>...> text, const Values&... values) const {
    throw DataError("weights: {} {}", path_.string(), formatted(text, values...));
  }
  template <class... Values>
  [[noreturn]] void fail_tensor(const std::string& name, FormatText<std::type_identity_t<Values>...> text,
                                const Values&... values) const {
    fail("is damaged or not a safetensors file: tensor '{}' {}", shortened(name), formatted(text, values...));
  }

 private:
  /// Sets the shape; the tensor's bytes.
  std::uint64_t read_shape(const nlohmann::json& shape, std::uint64_t element_bits, StoredTensor& out) const {
    if (!shape.is_array() || shape.size() > kMostDimensions)
      fail_tensor(out.name, "has the shape {}", brief(shape));
    // Zeros are left out of the product, as they would hide an overflow of the others, which LibTorch
    // multiplies too.
    std::uint64_t bits = element_bits;
    bool empty = false;
    for (const auto& item : shape) {
      std::uint64_t extent = 0;
      if (!take_whole(item, extent)) fail_tensor(out.name, "has the shape {}", brief(shape));
      empty = empty || extent == 0;
      if (__builtin_mul_overflow(bits, std::max<std::uint64_t>(extent, 1), &bits) || bits > kMostBits) {
        fail_tensor(out.name, "has the shape {}, larger than any memory", brief(shape));
      }
      out.shape.push_back(static_cast<std::int64_t>(extent));
    }
    if (empty) return 0;
    if (bits % 8 != 0) fail_tensor(out.name, "does not fill whole bytes: {} {}", out.dtype, brief(shape));
    return bits / 8;
  }

  void read_offsets(const nlohmann::json& offsets, std::uint64_t bytes, StoredTensor& out) const {
    const bool pair = offsets.is_array() && offsets.size() == 2;
    if (!pair || !take_whole(offsets[0], out.begin) || !take_whole(offsets[1], out.end) ||
        out.begin > out.end) {
      fail_tensor(out.name, "has the offsets {}, not [begin, end]", brief(offsets));
    }
    if (out.end - out.begin != bytes) {
      fail_tensor(out.name, "needs {} bytes but its offsets hold {}", bytes, out.end - out.begin);
    }
  }

  const std::filesystem::path& path_;
  std::span<const std::byte> bytes_;
};

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const HeaderReader reader(path_, file_.bytes());
  const std::string_view header = reader.header();
  data_begin_ = kLengthBytes + header.size();
  const nlohmann::json entries =
      parse_json_object(header, formatted("weights: the header of {}", path_.string()));
  for (const auto& [name, entry] : entries.items()) {
    if (name == "__metadata__") {
      if (!entry.is_object()) reader.fail("has metadata that are not an object but {}", brief(entry));
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string())
          reader.fail("has metadata that are not text: '{}' is {}", shortened(key), brief(value));
        metadata_[key] = value.get<std::string>();
      }
    } else {
      tensors_.push_back(reader.tensor(name, entry));
    }
  }
  std::ranges::sort(tensors_, {},
                    [](const StoredTensor& tensor) { return std::pair(tensor.begin, tensor.end); });
  reader.check_layout(tensors_, file_.bytes().size() - data_begin_);
}

at::Tensor SafetensorsFile::view(const StoredTensor& tensor) const {
  static const std::map<std::string, at::ScalarType> types = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}};
  const auto type = types.find(tensor.dtype);
  if (type == types.end()) {
    throw DataError(
        "weights: tensor '{}' in {} has the type {}; weights may be F64, F32, F16 or BF16 (quantised models "
        "are not supported)",
        shortened(tensor.name), path_.string(), tensor.dtype);
  }
  const auto options = at::TensorOptions(type->second).device(at::kCPU);
  const std::size_t size = tensor.end - tensor.begin;
  if (size == 0) return at::empty(tensor.shape, options);
  // Only reading goes through this pointer; LibTorch has no tensor of const data.
  auto* const data = const_cast<std::byte*>(bytes(tensor).data());
  if (reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(type->second) != 0) {
    const at::Tensor aligned = at::empty(tensor.shape, options);  // a file whose header was not padded
    std::memcpy(aligned.data_ptr(), data, size);
    return aligned;
  }
  return at::from_blob(data, tensor.shape, options);
}

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::vector<std::byte> data;
  for (const auto& [name, tensor] : tensors) {
    const char* const dtype = tensor.scalar_type() == at::kHalf     ? "F16"
                              : tensor.scalar_type() == at::kDouble ? "F64"
                                                                    : "F32";
    const auto* const begin = static_cast<const std::byte*>(tensor.const_data_ptr());
    header[name] = {{"dtype", dtype},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {data.size(), data.size() + tensor.nbytes()}}};
    data.insert(data.end(), begin, begin + tensor.nbytes());
  }
  std::string text = header.dump();
  // The data begin at a multiple of 8 bytes, as the format's own writer has it.
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  replace_file(path.string(), {std::as_bytes(std::span(&length, 1)), std::as_bytes(std::span(text)), data});
}

}  // namespace dwgf
