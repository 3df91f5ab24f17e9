#include "store/library_versions.hpp"

#include <hdf5.h>
#include <spng.h>
#include <zlib.h>

#include <dwgf/base/error.hpp>
#include <dwgf/comm/mpi.hpp>

#include "base/build_info.hpp"

namespace dwgf {

std::vector<LibraryVersions> file_libraries() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return {{"HDF5", formatted("{}.{}.{}", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE),
           formatted("{}.{}.{}", major, minor, release)},
          {"zlib", ZLIB_VERSION, zlibVersion()},
          {"libspng", formatted("{}.{}.{}", SPNG_VERSION_MAJOR, SPNG_VERSION_MINOR, SPNG_VERSION_PATCH),
           spng_version_string()}};
}

std::string describe_build() {
  const BuildInfo build = build_info();
  return formatted("revision {}; {}; {}; HDF5 {}; LibTorch {}", build.revision, build.compiler,
                   mpi_library().loaded, file_libraries().front().loaded, build.torch);
}

bool any_hdf5_file_is_open() {
  return H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_FILE) > 0;
}

}  // namespace dwgf
