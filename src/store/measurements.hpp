/// The measurements file (HDF5): what was measured, with the operator and its arrays, and the truth where it
/// is known. Written by `degrade`, or by anyone with h5py; README.md gives the layout.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <dwgf/comm/mpi.hpp>

#include "store/row_layout.hpp"
#include "store/value_units.hpp"

namespace dwgf {

/// True for an HDF5 file with the attribute `dwgf_measurements`; false for anything else, also for what
/// cannot be read.
bool is_measurements_file(const std::string& path);

/// A measurements file to read; without MPI, any number of ranks may.
class MeasurementsFile {
 public:
  /// Checks all that does not need the data itself. Throws NotFoundError, DataError (naming the dataset or
  /// attribute, what is wrong and what it should be), IoError.
  explicit MeasurementsFile(const std::string& path);
  MeasurementsFile(MeasurementsFile&&) noexcept;
  ~MeasurementsFile();

  const std::string& path() const;
  /// Identities (/image/id, else the row), names, and sizes (/image/height, /image/width, else image_shape).
  const std::vector<ImageEntry>& entries() const;
  std::int64_t channels() const;  ///< of the images
  const std::optional<std::string>& operator_spec() const;
  const std::optional<std::string>& noise() const;
  /// Of all images: the attribute's only value, or the first of equal ones; nothing where it is not there, or
  /// where each image has its own.
  std::optional<double> sigma() const;
  /// One an image where they differ; else empty.
  const std::vector<double>& sigmas() const;
  /// value_scale, value_offset and unit; nothing where they are not there.
  const std::optional<ValueUnits>& units() const;
  /// Whether y is stored as unsigned integers of 8 bits, which `measurement` gives as numbers up to 255.
  bool has_levels() const;
  bool has_truth() const;

  /// Row k as stored: [...], the shape that all rows share; of complex numbers (h5py's compound of r and i)
  /// as [2, ...], the real and the imaginary parts.
  FloatArray measurement(std::int64_t k) const;
  /// [C, H, W]. @pre has_truth()
  FloatArray truth(std::int64_t k) const;

  bool has_array(const std::string& name) const;
  /// Whether the array /operator/NAME has a row for every image. Masks do when they are [n, H, W] or
  /// [n, C, H, W]; kernels when they are [n, h, w]; matrices are shared.
  /// Throws DataError for an array that is neither shared nor one a row.
  bool is_per_image(const std::string& kind, const std::string& name) const;
  /// The array for image k. Throws DataError.
  FloatArray array(const std::string& kind, const std::string& name, std::int64_t k) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// All that fixes the structure of a measurements file.
struct MeasurementsLayout : RowLayout {
  double sigma = 0;
  std::optional<ValueUnits> units;
  std::vector<std::int64_t> image_shape;  ///< [C, H, W], the largest
};

/// A measurements file in the making: complete, or not there.
class MeasurementsWriter {
 public:
  /// Collective. Creates PATH.creating. Throws the same on every rank: IoError (PATH exists, no space).
  MeasurementsWriter(const std::string& path, const MeasurementsLayout& layout, const Communicator& comm);
  ~MeasurementsWriter();

  /// Independent: `bytes` of row `row`, of the dataset's type. Throws IoError.
  void write(const std::string& dataset, std::int64_t row, std::span<const std::byte> bytes);

  /// Collective. Waits for the disk and gives the file its name. After this, nothing may be called.
  void publish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dwgf
