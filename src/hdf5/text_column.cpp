#include "hdf5/text_column.hpp"

#include <algorithm>

#include <dwgf/base/error.hpp>

#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_open.hpp"
#include "hdf5/hdf5_types.hpp"

namespace dwgf {

std::vector<std::string> read_text_column(hid_t file, const std::string& path, hsize_t rows,
                                          const std::string& file_name) {
  if (!has_link(file, path)) return {};
  const FlatDataset data(file, path, file_name);
  if (data.shape() != std::vector<hsize_t>{rows} || H5Tget_class(data.type()) != H5T_STRING)
    throw DataError("{}: {} is not one text for each of the {} images", file_name, path, rows);
  const std::string what = formatted("reading {} of {}", path, file_name);
  std::vector<std::string> texts(rows);
  if (H5Tis_variable_str(data.type()) > 0) {
    std::vector<char*> pointers(rows, nullptr);
    checked(H5Dread(data.id(), data.type(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), what);
    for (hsize_t k = 0; k < rows; ++k) texts[k] = pointers[k] ? pointers[k] : "";
    const auto space = handle_of(H5Dget_space(data.id()), H5Sclose, what);
    checked(H5Dvlen_reclaim(data.type(), space.id(), H5P_DEFAULT, pointers.data()), what);
    return texts;
  }
  std::vector<std::byte> bytes(rows * data.value_bytes());
  data.read(0, bytes);
  for (hsize_t k = 0; k < rows; ++k) {
    texts[k].assign(reinterpret_cast<const char*>(bytes.data()) + k * data.value_bytes(), data.value_bytes());
    texts[k].resize(std::min(texts[k].size(), texts[k].find('\0')));
  }
  return texts;
}

}  // namespace dwgf
