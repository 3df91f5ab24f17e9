/// Settings -> the objects that a job works with: the only factories.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/prior/prior.hpp>

#include "data/images.hpp"
#include "input/settings.hpp"
#include "operators/baselines/linear_mmse.hpp"

namespace dwgf {

FlowOptions flow_options(const Settings& settings);

/// The directory that `prior.path` names: `builtin:NAME` is looked for beside the program
/// (../share/dwgf/priors/NAME) and in the source tree it was built from. Throws NotFoundError.
std::string prior_directory(const std::string& path);

/// Whether prior.path names the file of a Gaussian mixture, and no folder.
bool is_mixture(const std::string& prior_path);

/// The prior that the settings describe, on this device.
std::unique_ptr<Prior> build_prior(const Settings& settings,
                                   const c10::Device& device = c10::Device(c10::DeviceType::CPU));

/// statistics.safetensors of the prior's directory, or nothing where there is none.
std::optional<GaussianImages> image_statistics(const std::string& prior_path);

/// A float32 image as a tensor [C, H, W].
at::Tensor as_tensor(const ImagePixels& pixels);

/// y from A(x) and noise of the MEASUREMENT stream, on observed entries only; computed in float64, rounded
/// once to float32.
at::Tensor measure(const ForwardOperator& forward, const NoiseModel& noise, const at::Tensor& truth,
                   std::uint64_t seed, std::uint64_t image);

}  // namespace dwgf
