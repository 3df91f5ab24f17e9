/// NumPy's .npy files, formats 1.0 to 3.0: one array in C order after a header that is read strictly.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hdf5/number_type.hpp"

namespace dwgf {

/// An array in a file; its values are read as they are asked for.
class NpyFile {
 public:
  /// Reads the header and checks that the file is exactly as long as that says.
  /// Throws NotFoundError, DataError (another format; another number type than '<f4', '<f8' and '|u1';
  /// Fortran order; truncated; too long), each with what to do.
  explicit NpyFile(const std::string& path);
  NpyFile(NpyFile&&) noexcept;
  NpyFile& operator=(NpyFile&&) noexcept;
  ~NpyFile();

  const std::vector<std::int64_t>& shape() const;  ///< {} for a single number
  NumberType type() const;                         ///< float32, float64 or uint8
  std::int64_t size() const;                       ///< the product of the shape, below 2^48

  /// Values [first, first + count) in C order: float64 rounded to float32, uint8 as 0 ... 255.
  /// @pre within the array (InternalError). Throws IoError, DataError (shorter than when it was opened).
  std::vector<float> read(std::int64_t first, std::int64_t count) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes float32 values of this shape, aside and renamed. Throws IoError. @pre the shape's product is
/// values.size()
void write_npy(const std::string& path, const std::vector<std::int64_t>& shape,
               std::span<const float> values);

}  // namespace dwgf
