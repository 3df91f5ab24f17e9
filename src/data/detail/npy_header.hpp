/// The dictionary at the head of a .npy file. Private to `store`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dwgf {

struct NpyHeader {
  std::string type;  ///< "<f4"
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Parses "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }" and nothing else: every key once, in
/// any order. Throws DataError saying what was expected at which character; `path` is for the message.
NpyHeader parse_npy_header(std::string_view text, const std::string& path);

}  // namespace dwgf
