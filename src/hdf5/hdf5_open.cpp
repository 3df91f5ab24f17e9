#include "hdf5/hdf5_open.hpp"

#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "hdf5/hdf5_types.hpp"

namespace dwgf {

void leave_locks(hid_t access_list, const std::string& what) {
#if H5_VERSION_GE(1, 10, 7)
  checked(H5Pset_file_locking(access_list, false, true), what);
#endif
}

Hdf5Handle open_hdf5(const std::string& path, bool cache_chunks) {
  prepare_hdf5();
  try {
    PosixFile::open_for_reading(path);  // says what the system says; HDF5 does not
  } catch (const NotFoundError& error) {
    if (access((path + ".creating").c_str(), F_OK) != 0) throw;
    throw NotFoundError("{}; {}.creating is there: its creation is under way or was cut short", error.what(),
                        path);
  }
  const std::string what = formatted("opening {}", path);
  const auto access_list = handle_of(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  checked(H5Pset_sieve_buf_size(access_list.id(), 0), what);
  if (!cache_chunks) checked(H5Pset_cache(access_list.id(), 0, 0, 0, 0.0), what);
  leave_locks(access_list.id(), what);
  Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access_list.id()), H5Fclose);
  if (file) return file;
  const std::string reason = hdf5_message();
  if (reason.find("signature not found") != std::string::npos) {
    throw DataError("{} is not an HDF5 file ({})", path, reason);
  }
  if (reason.find("truncated") != std::string::npos) {
    throw DataError("{} is truncated ({}); copy it again from where it came from", path, reason);
  }
  throw DataError("{} cannot be opened; it is damaged ({})", path, reason);
}

std::optional<std::string> read_text_attribute(hid_t file, const std::string& name, const std::string& path) {
  const std::string what = formatted("reading the attribute {} of {}", name, path);
  const auto attribute = handle_of(H5Aopen(file, name.c_str(), H5P_DEFAULT), H5Aclose, what);
  const auto type = handle_of(H5Aget_type(attribute.id()), H5Tclose, what);
  const auto space = handle_of(H5Aget_space(attribute.id()), H5Sclose, what);
  if (H5Tget_class(type.id()) != H5T_STRING || H5Sget_simple_extent_npoints(space.id()) != 1)
    return std::nullopt;
  if (H5Tis_variable_str(type.id()) > 0) {
    char* text = nullptr;
    checked(H5Aread(attribute.id(), type.id(), &text), what);
    std::string copy = text ? text : "";
    checked(H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, &text), what);
    return copy;
  }
  std::string text(H5Tget_size(type.id()), '\0');
  checked(H5Aread(attribute.id(), type.id(), text.data()), what);
  text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
  return text;
}

std::vector<double> read_number_attribute(hid_t object, const std::string& name, const std::string& path,
                                          std::size_t most) {
  const std::string what = formatted("reading the attribute {} of {}", name, path);
  const auto attribute = handle_of(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, what);
  const auto type = handle_of(H5Aget_type(attribute.id()), H5Tclose, what);
  const auto space = handle_of(H5Aget_space(attribute.id()), H5Sclose, what);
  const hssize_t count = H5Sget_simple_extent_npoints(space.id());
  if (!is_plain_number(type.id()) || count < 1 || static_cast<std::size_t>(count) > most) return {};
  std::vector<double> values(static_cast<std::size_t>(count));
  checked(H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, values.data()), what);
  return values;
}

bool has_link(hid_t file, const std::string& path) {
  // Every group on the way is asked for by itself: HDF5 fails where an earlier one is missing.
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    if (H5Lexists(file, path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
    if (slash == std::string::npos) return true;
  }
}

}  // namespace dwgf
