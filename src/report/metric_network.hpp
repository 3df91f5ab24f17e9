/// A metric's network (dwgf/metric/lpips.hpp, dwgf/metric/inception.hpp) from the file that an option names.
#pragma once

#include <memory>
#include <string>

#include <dwgf/base/error.hpp>

#include "metric/named_tensors.hpp"

namespace dwgf {

/// The tensors of a safetensors file. Throws NotFoundError, DataError.
NamedTensors read_named_tensors(const std::string& path);

/// Throws NotFoundError, and DataError that names option and file.
template <class Network>
std::shared_ptr<const Network> load_metric_network(const std::string& option, const std::string& path) {
  try {
    return std::make_shared<const Network>(read_named_tensors(path));
  } catch (const DataError& error) {
    throw DataError("--{} {}: {}", option, path, error.what());
  }
}

}  // namespace dwgf
