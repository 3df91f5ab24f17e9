#include <ATen/ATen.h>

#include <dwgf/prior/safetensors.hpp>
#include <dwgf/run/metric_network.hpp>

namespace dwgf {

NamedTensors read_named_tensors(const std::string& path) {
  const SafetensorsFile file(path);
  NamedTensors tensors;
  // clone: the view shares the mapping, which ends with this function
  for (const StoredTensor& tensor : file.tensors()) tensors[tensor.name] = file.view(tensor).clone();
  return tensors;
}

}  // namespace dwgf
