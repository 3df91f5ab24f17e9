#include "hdf5/hdf5_arrays.hpp"

#include <dwgf/base/error.hpp>

#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_open.hpp"
#include "hdf5/hdf5_types.hpp"

namespace dwgf {

struct Hdf5Arrays::Impl {
  std::string path;
  Hdf5Handle file;

  bool has_attribute(const std::string& name) const {
    return checked(H5Aexists(file.id(), name.c_str()),
                   formatted("looking for the attribute {} of {}", name, path)) > 0;
  }
};

Hdf5Arrays::Hdf5Arrays(const std::string& path) : impl_(new Impl{path, open_hdf5(path)}) {}
Hdf5Arrays::~Hdf5Arrays() = default;

const std::string& Hdf5Arrays::path() const {
  return impl_->path;
}

bool Hdf5Arrays::has(const std::string& dataset) const {
  return has_link(impl_->file.id(), dataset);
}

NumericArray Hdf5Arrays::read(const std::string& dataset) const {
  const FlatDataset data(impl_->file.id(), dataset, impl_->path);
  if (!is_plain_number(data.type())) {
    throw DataError("{}: {} does not hold numbers; write it as floating point", impl_->path, dataset);
  }
  NumericArray array{{data.shape().begin(), data.shape().end()}, {}};
  array.values.resize(data.size());
  if (!array.values.empty()) {
    checked(H5Dread(data.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()),
            formatted("reading {} of {}", dataset, impl_->path));
  }
  return array;
}

std::optional<double> Hdf5Arrays::number(const std::string& name) const {
  if (!impl_->has_attribute(name)) return std::nullopt;
  const std::vector<double> found = read_number_attribute(impl_->file.id(), name, impl_->path);
  if (found.empty()) throw DataError("{}: the attribute {} is not a single number", impl_->path, name);
  return found.front();
}

std::optional<std::string> Hdf5Arrays::text(const std::string& name) const {
  if (!impl_->has_attribute(name)) return std::nullopt;
  const std::optional<std::string> found = read_text_attribute(impl_->file.id(), name, impl_->path);
  if (!found) throw DataError("{}: the attribute {} is not a text", impl_->path, name);
  return found;
}

}  // namespace dwgf
