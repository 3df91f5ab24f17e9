#include "hdf5/hdf5_types.hpp"

#include <dwgf/base/error.hpp>

namespace dwgf {

Hdf5Handle hdf5_type(NumberType type) {
  prepare_hdf5();
  const std::string what = "making an HDF5 type";
  const auto copy = [&](hid_t of) { return handle_of(H5Tcopy(of), H5Tclose, what); };
  switch (type) {
    case NumberType::uint8:
      return copy(H5T_STD_U8LE);
    case NumberType::float32:
      return copy(H5T_IEEE_F32LE);
    case NumberType::float64:
      return copy(H5T_IEEE_F64LE);
    case NumberType::float16: {
      auto half = copy(H5T_IEEE_F32LE);
      checked(H5Tset_fields(half.id(), 15, 10, 5, 0, 10), what);
      checked(H5Tset_size(half.id(), 2), what);
      checked(H5Tset_ebias(half.id(), 15), what);
      return half;
    }
    case NumberType::none:
      break;
  }
  throw InternalError("'none' is not a type in a file");
}

std::optional<NumberType> number_type_of(hid_t type) {
  for (const NumberType candidate :
       {NumberType::uint8, NumberType::float16, NumberType::float32, NumberType::float64}) {
    if (H5Tequal(type, hdf5_type(candidate).id()) > 0) return candidate;
  }
  return std::nullopt;
}

bool is_plain_number(hid_t type) {
  prepare_hdf5();
  for (const hid_t plain : {H5T_STD_I8LE,  H5T_STD_I16LE,  H5T_STD_I32LE,  H5T_STD_I64LE,  H5T_STD_U8LE,
                            H5T_STD_U16LE, H5T_STD_U32LE,  H5T_STD_U64LE,  H5T_STD_I8BE,   H5T_STD_I16BE,
                            H5T_STD_I32BE, H5T_STD_I64BE,  H5T_STD_U8BE,   H5T_STD_U16BE,  H5T_STD_U32BE,
                            H5T_STD_U64BE, H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE}) {
    if (H5Tequal(type, plain) > 0) return true;
  }
  return H5Tequal(type, hdf5_type(NumberType::float16).id()) > 0;
}

Hdf5Handle hdf5_text_type(std::size_t bytes) {
  prepare_hdf5();
  const std::string what = "making an HDF5 text type";
  auto text = handle_of(H5Tcopy(H5T_C_S1), H5Tclose, what);
  checked(H5Tset_size(text.id(), bytes), what);
  checked(H5Tset_cset(text.id(), H5T_CSET_UTF8), what);
  checked(H5Tset_strpad(text.id(), H5T_STR_NULLPAD), what);
  return text;
}

}  // namespace dwgf
