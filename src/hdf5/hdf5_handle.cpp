#include "hdf5/hdf5_handle.hpp"

#include <vector>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

// Called by C code, so nothing may be thrown through it; a line lost for lack of memory is no loss.
herr_t collect(unsigned, const H5E_error2_t* error, void* out) noexcept {
  try {
    auto& lines = *static_cast<std::vector<std::string>*>(out);
    const std::string line = error->desc ? error->desc : "";
    if (!line.empty() && (lines.empty() || lines.back() != line)) lines.push_back(line);
  } catch (...) {
  }
  return 0;
}

}  // namespace

void prepare_hdf5() {
  static const bool quiet = H5open() >= 0 && H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  if (!quiet) throw IoError("the HDF5 library does not start");
}

std::string hdf5_message() {
  std::vector<std::string> lines;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, collect, &lines);
  H5Eclear2(H5E_DEFAULT);
  if (lines.empty()) return "HDF5 gives no reason";
  // The first is what was asked for, the last is why it failed; those between name HDF5's own layers.
  std::string text = "HDF5 says \"" + lines.front();
  if (lines.size() > 1) text += ": " + lines.back();
  return text + "\"";
}

void throw_hdf5_error(const std::string& what) {
  throw IoError("{}: {}", what, hdf5_message());
}

Hdf5Handle handle_of(hid_t id, Hdf5Handle::Close close, const std::string& what) {
  return Hdf5Handle(checked(id, what), close);
}

void Hdf5Handle::close(const std::string& what) {
  if (id_ < 0) return;
  checked(close_(std::exchange(id_, H5I_INVALID_HID)), what);
}

}  // namespace dwgf
