/// The files that an operator spec names: arrays and modules.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// The file of an operator's array: a .npy, or for a mask a grey PNG. uint8 is taken as it is, but by a
/// matrix as v / 127.5 - 1. Throws NotFoundError, DataError.
at::Tensor load_operator_file(const std::string& kind, const std::string& path);

/// `spec` with `sha256=HEX` behind every module that it names (`torch:FILE`): what a results file keeps of
/// it. Throws NotFoundError, IoError, and DataError where the file is not the one that the spec has the hash
/// of.
std::string with_module_hashes(const std::string& spec);

}  // namespace dwgf
