/// Golden tensors by name, from a safetensors file in tests/data.
#pragma once

#include <map>
#include <string>

#include <ATen/ATen.h>

#include "prior/files/safetensors.hpp"

namespace dwgf::test {

inline std::map<std::string, at::Tensor> golden_tensors(const std::string& file) {
  const SafetensorsFile stored(std::string(DWGF_TEST_DATA) + "/" + file);
  std::map<std::string, at::Tensor> tensors;
  for (const StoredTensor& tensor : stored.tensors()) tensors[tensor.name] = stored.view(tensor).clone();
  return tensors;
}

}  // namespace dwgf::test
