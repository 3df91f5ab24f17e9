/// HDF5's identifiers as values that close themselves, and its error stack as one line. Private to `store`.
#pragma once

#include <string>
#include <utility>

#include <hdf5.h>

#ifndef H5_HAVE_PARALLEL
#error "dwgf needs a parallel HDF5 (Debian: libhdf5-openmpi-dev); this one was built without MPI"
#endif

namespace dwgf {

/// An open HDF5 object. Move-only; an empty one has a negative identifier.
class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);

  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }

  hid_t id() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

  /// Closes now. Throws IoError.
  void close(const std::string& what);
  /// Forgets the object without closing it.
  void abandon() { id_ = H5I_INVALID_HID; }

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

/// Starts HDF5 and turns its own printing of errors off; every function that begins to use HDF5 calls it.
void prepare_hdf5();

/// What HDF5's error stack says, on one line, outermost first; the stack is cleared.
std::string hdf5_message();

/// Throws IoError "what: HDF5 says ..." if `code` is negative; else gives it back.
template <class Code>
Code checked(Code code, const std::string& what);

/// The handle of `id`, or IoError.
Hdf5Handle handle_of(hid_t id, Hdf5Handle::Close close, const std::string& what);

[[noreturn]] void throw_hdf5_error(const std::string& what);

template <class Code>
Code checked(Code code, const std::string& what) {
  if (code < 0) throw_hdf5_error(what);
  return code;
}

}  // namespace dwgf
