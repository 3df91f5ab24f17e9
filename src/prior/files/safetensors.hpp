/// A memory-mapped file of named tensors, in the safetensors format:
///   8 bytes   n, unsigned little-endian
///   n bytes   a JSON object: name -> {"dtype", "shape", "data_offsets": [begin, end]}, and "__metadata__"
///   (text -> text) the rest  the tensors' bytes, row-major, little-endian; together they fill the rest
///   without holes or overlaps
/// Source: https://github.com/huggingface/safetensors (section "Format").
///
/// The header is hostile input until proven otherwise: the constructor checks every length, offset, shape and
/// type before anything uses them. Nothing is read or copied until a tensor is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "prior/files/mapped_file.hpp"

namespace dwgf {

/// What the header says of one tensor.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< as in the file: "F32", "I64", ...
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  ///< of its bytes, counted from the end of the header
  std::uint64_t end = 0;
};

class SafetensorsFile {
 public:
  /// Maps the file and checks its header. Throws NotFoundError, IoError, or DataError with what is wrong and
  /// where.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// In the order of their bytes.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const MappedFile& file() const { return file_; }
  /// What stands before the tensors' bytes.
  std::span<const std::byte> header() const { return file_.bytes().first(data_begin_); }
  /// One tensor's bytes.
  std::span<const std::byte> bytes(const StoredTensor& tensor) const {
    return file_.bytes().subspan(data_begin_ + tensor.begin, tensor.end - tensor.begin);
  }

  /// The tensor as stored (F64, F32, F16 or BF16), on the CPU. It normally shares the mapped memory: it must
  /// not be written to and must not outlive this object. Throws DataError for any other type.
  at::Tensor view(const StoredTensor& tensor) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::size_t data_begin_ = 0;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes tensors of the CPU, contiguous, of F64, F32 or F16, in the order given; a file that is there is
/// replaced at once or not at all. Throws IoError.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace dwgf
