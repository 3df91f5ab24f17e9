/// An HDF5 file of named numeric arrays and attributes, whoever wrote it (h5py, say), read whole into
/// float64.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dwgf {

struct NumericArray {
  std::vector<std::int64_t> shape;
  std::vector<double> values;  ///< row-major
};

class Hdf5Arrays {
 public:
  /// Without MPI; any number of ranks may. Throws NotFoundError, DataError (not HDF5, truncated), IoError.
  explicit Hdf5Arrays(const std::string& path);
  ~Hdf5Arrays();

  const std::string& path() const;
  bool has(const std::string& dataset) const;
  /// Throws DataError: no such dataset, or one of other things than integers and floating-point numbers;
  /// IoError.
  NumericArray read(const std::string& dataset) const;

  /// Of the root; empty where there is none. Throws DataError for one that is no single number, or no text.
  std::optional<double> number(const std::string& attribute) const;
  std::optional<std::string> text(const std::string& attribute) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dwgf
