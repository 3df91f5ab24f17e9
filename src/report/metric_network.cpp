#include "report/metric_network.hpp"

#include <ATen/ATen.h>

#include "prior/files/safetensors.hpp"

namespace dwgf {

NamedTensors read_named_tensors(const std::string& path) {
  const SafetensorsFile file(path);
  NamedTensors tensors;
  // clone: the view shares the mapping, which ends with this function
  for (const StoredTensor& tensor : file.tensors()) tensors[tensor.name] = file.view(tensor).clone();
  return tensors;
}

}  // namespace dwgf
