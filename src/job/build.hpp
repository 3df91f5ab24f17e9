/// A job's input -> the objects that a job works with: the only factories.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/prior/prior.hpp>

#include "input/job_input.hpp"
#include "operators/baselines/linear_mmse.hpp"
#include "prior/moments.hpp"

namespace dwgf {

/// The options of the job's method. Throws UsageError where they do not go together.
FlowOptions flow_options(const JobInput& job);

/// The directory or file that `prior.path` names: `builtin:NAME` is looked for beside the program
/// (../share/dwgf/priors/NAME) and in the source tree it was built from. Throws NotFoundError.
std::string prior_files(const std::string& path);

/// The prior that the job names, on this device.
std::unique_ptr<Prior> build_prior(const JobInput& job,
                                   const c10::Device& device = c10::Device(c10::DeviceType::CPU));

/// Where the moments of the prior that `prior.path` names lie if no other file is named: moments.safetensors
/// in its folder, or FILE.moments.safetensors beside its file. Throws NotFoundError where there is no such
/// prior.
std::string moments_file(const std::string& prior_path);

/// The moments that `prior.moments` names, or those of moments_file() where they are there, else nothing.
/// Throws DataError where they were measured of another prior than the one of these weights, and as
/// read_moments does.
std::optional<PriorMoments> prior_moments(const PriorInput& input, const std::string& prior_sha256);

/// statistics.safetensors of the prior's directory, or nothing where there is none.
std::optional<GaussianImages> image_statistics(const std::string& prior_path);

}  // namespace dwgf
