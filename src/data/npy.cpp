#include "data/npy.hpp"

#include <array>
#include <cstring>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"
#include "data/detail/npy_header.hpp"

namespace dwgf {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr std::size_t kMagicBytes = 6;
constexpr std::uint64_t kLongestHeader = 1 << 16;

NumberType type_from(const std::string& name, const std::string& path) {
  if (name == "<f4") return NumberType::float32;
  if (name == "<f8") return NumberType::float64;
  if (name == "|u1") return NumberType::uint8;
  throw DataError(
      "{} has numbers of type '{}'; '<f4', '<f8' and '|u1' are read: convert it with "
      "array.astype(numpy.float32)",
      path, name);
}

// The product of the shape, which may be anything.
std::int64_t product(const std::vector<std::int64_t>& shape, const std::string& path) {
  std::int64_t size = 1;
  for (const std::int64_t extent : shape) {
    if (extent > 0 && size > (std::int64_t{1} << 48) / extent) {
      throw DataError("{} claims more values than any disk holds; its header is damaged", path);
    }
    size *= extent;
  }
  return size;
}

}  // namespace

struct NpyFile::Impl {
  PosixFile file;
  NumberType type = NumberType::float32;
  std::vector<std::int64_t> shape;
  std::int64_t size = 0;
  std::uint64_t data = 0;  // where the values begin
};

NpyFile::NpyFile(const std::string& path) : impl_(std::make_unique<Impl>()) {
  impl_->file = PosixFile::open_for_reading(path);
  const PosixFile& file = impl_->file;

  std::array<unsigned char, 12> head{};
  if (file.size() < head.size())
    throw DataError("{} is too short for a .npy file: {} bytes", path, file.size());
  file.read(0, std::as_writable_bytes(std::span(head)));
  if (std::memcmp(head.data(), kMagic, kMagicBytes) != 0) {
    throw DataError("{} is not a .npy file (its first bytes are not \\x93NUMPY); write it with numpy.save",
                    path);
  }
  const int major = head[6], minor = head[7];
  if (major < 1 || major > 3 || minor != 0) {
    throw DataError("{} has .npy format {}.{}; 1.0, 2.0 and 3.0 are known", path, major, minor);
  }
  const std::uint64_t begin = major == 1 ? 10 : 12;
  std::uint64_t length = head[8] | head[9] << 8;
  if (major > 1) length |= std::uint64_t{head[10]} << 16 | std::uint64_t{head[11]} << 24;
  if (length > kLongestHeader || begin + length > file.size()) {
    throw DataError("{} claims a header of {} bytes in a file of {}; it is damaged", path, length,
                    file.size());
  }
  std::string text(length, '\0');
  file.read(begin, std::as_writable_bytes(std::span(text)));

  const NpyHeader header = parse_npy_header(text, path);
  impl_->type = type_from(header.type, path);
  impl_->shape = header.shape;
  impl_->size = product(header.shape, path);
  impl_->data = begin + length;
  if (header.fortran_order && header.shape.size() > 1) {
    throw DataError("{} is in Fortran order; write it with numpy.save(file, numpy.ascontiguousarray(array))",
                    path);
  }
  const std::uint64_t needed = static_cast<std::uint64_t>(impl_->size) * size_of(impl_->type);
  const std::uint64_t found = file.size() - impl_->data;
  if (found != needed) {
    throw DataError("{} has {} bytes of values where its header asks for {}{}", path, found, needed,
                    found < needed ? "; it is truncated: copy or write it again"
                                   : "; something follows the array: write it again with numpy.save");
  }
}

NpyFile::NpyFile(NpyFile&&) noexcept = default;
NpyFile& NpyFile::operator=(NpyFile&&) noexcept = default;
NpyFile::~NpyFile() = default;

const std::vector<std::int64_t>& NpyFile::shape() const {
  return impl_->shape;
}
NumberType NpyFile::type() const {
  return impl_->type;
}
std::int64_t NpyFile::size() const {
  return impl_->size;
}

std::vector<float> NpyFile::read(std::int64_t first, std::int64_t count) const {
  if (first < 0 || count < 0 || first > size() || count > size() - first) {
    throw InternalError("values {} ... {} of {}, which has {}", first, first + count, impl_->file.path(),
                        size());
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size_of(type()));
  impl_->file.read(impl_->data + static_cast<std::uint64_t>(first) * size_of(type()), bytes);
  if (type() != NumberType::uint8) return from_bytes(bytes, type());
  std::vector<float> values;
  values.reserve(bytes.size());
  for (const std::byte level : bytes) values.push_back(static_cast<float>(std::to_integer<int>(level)));
  return values;
}

void write_npy(const std::string& path, const std::vector<std::int64_t>& shape,
               std::span<const float> values) {
  std::string tuple;
  for (const std::int64_t extent : shape) tuple += formatted("{}, ", extent);
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  if (product(shape, path) != static_cast<std::int64_t>(values.size())) {
    throw InternalError("{} values do not make an array of shape ({})", values.size(), tuple);
  }
  std::string header = formatted("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", tuple);
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1,
                ' ');  // the values begin at a multiple of 64
  header += '\n';
  std::string head(kMagic, kMagicBytes);
  head += {'\x01', '\x00', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  head += header;
  replace_file(path, {std::as_bytes(std::span(head)), std::as_bytes(values)});
}

}  // namespace dwgf
