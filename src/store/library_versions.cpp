#include "store/library_versions.hpp"

#include <hdf5.h>
#include <spng.h>
#include <zlib.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

std::vector<LibraryVersions> file_libraries() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return {{"HDF5", concat(H5_VERS_MAJOR, ".", H5_VERS_MINOR, ".", H5_VERS_RELEASE),
           concat(major, ".", minor, ".", release)},
          {"zlib", ZLIB_VERSION, zlibVersion()},
          {"libspng", concat(SPNG_VERSION_MAJOR, ".", SPNG_VERSION_MINOR, ".", SPNG_VERSION_PATCH),
           spng_version_string()}};
}

bool any_hdf5_file_is_open() {
  return H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_FILE) > 0;
}

}  // namespace dwgf
