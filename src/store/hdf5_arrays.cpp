#include <dwgf/base/error.hpp>
#include <dwgf/store/hdf5_arrays.hpp>

#include "flat_dataset.hpp"
#include "hdf5_open.hpp"
#include "hdf5_types.hpp"

namespace dwgf {

struct Hdf5Arrays::Impl {
  std::string path;
  Hdf5Handle file;

  bool has_attribute(const std::string& name) const {
    return checked(H5Aexists(file.id(), name.c_str()),
                   concat("looking for the attribute ", name, " of ", path)) > 0;
  }
};

Hdf5Arrays::Hdf5Arrays(const std::string& path) : impl_(new Impl{path, open_hdf5(path)}) {}
Hdf5Arrays::~Hdf5Arrays() = default;

const std::string& Hdf5Arrays::path() const {
  return impl_->path;
}

bool Hdf5Arrays::has(const std::string& dataset) const {
  // Every group on the way is asked for by itself: HDF5 fails where an earlier one is missing.
  for (std::size_t slash = dataset.find('/', 1);; slash = dataset.find('/', slash + 1)) {
    const std::string part = dataset.substr(0, slash);
    if (H5Lexists(impl_->file.id(), part.c_str(), H5P_DEFAULT) <= 0) return false;
    if (slash == std::string::npos) return true;
  }
}

NumericArray Hdf5Arrays::read(const std::string& dataset) const {
  const FlatDataset data(impl_->file.id(), dataset, impl_->path);
  if (!is_plain_number(data.type())) {
    throw DataError(concat(impl_->path, ": ", dataset, " does not hold numbers; write it as floating point"));
  }
  NumericArray array{{data.shape().begin(), data.shape().end()}, {}};
  array.values.resize(data.size());
  if (!array.values.empty()) {
    checked(H5Dread(data.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()),
            concat("reading ", dataset, " of ", impl_->path));
  }
  return array;
}

std::optional<double> Hdf5Arrays::number(const std::string& name) const {
  if (!impl_->has_attribute(name)) return std::nullopt;
  const std::string what = concat("reading the attribute ", name, " of ", impl_->path);
  const auto attribute = handle_of(H5Aopen(impl_->file.id(), name.c_str(), H5P_DEFAULT), H5Aclose, what);
  const auto type = handle_of(H5Aget_type(attribute.id()), H5Tclose, what);
  const auto space = handle_of(H5Aget_space(attribute.id()), H5Sclose, what);
  if (!is_plain_number(type.id()) || H5Sget_simple_extent_npoints(space.id()) != 1) {
    throw DataError(concat(impl_->path, ": the attribute ", name, " is not a single number"));
  }
  double value = 0.0;
  checked(H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, &value), what);
  return value;
}

std::optional<std::string> Hdf5Arrays::text(const std::string& name) const {
  if (!impl_->has_attribute(name)) return std::nullopt;
  const std::optional<std::string> found = read_text_attribute(impl_->file.id(), name, impl_->path);
  if (!found) throw DataError(concat(impl_->path, ": the attribute ", name, " is not a text"));
  return found;
}

}  // namespace dwgf
