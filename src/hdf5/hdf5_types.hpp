/// The types of the numbers and texts in results files, in HDF5's terms. Private to `store`.
#pragma once

#include <cstddef>
#include <optional>

#include "hdf5/hdf5_handle.hpp"
#include "hdf5/number_type.hpp"

namespace dwgf {

/// Little-endian; float16 is IEEE half, as h5py has it. @pre type is not none.
Hdf5Handle hdf5_type(NumberType type);
/// The number type that a file's type is exactly, if any.
std::optional<NumberType> number_type_of(hid_t type);
/// Whether it is an integer of 1, 2, 4 or 8 bytes, or an IEEE float of 2, 4 or 8, in either order of bytes.
/// HDF5 1.10 converts other types (of damaged files) beyond the ends of its buffers: nothing else is to be
/// read as numbers.
bool is_plain_number(hid_t type);
/// UTF-8 of fixed length, padded with zero bytes.
Hdf5Handle hdf5_text_type(std::size_t bytes);

}  // namespace dwgf
