#include "job/build.hpp"

#include <filesystem>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>
#include <dwgf/prior/families/pixel_diffusion.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

#include "catalogue/methods.hpp"
#include "data/npy.hpp"
#include "hdf5/hdf5_arrays.hpp"
#include "prior/files/safetensors.hpp"

namespace dwgf {

namespace {
namespace fs = std::filesystem;
constexpr std::string_view kBuiltin = "builtin:";

NoiseScheduleConfig schedule_of(const Hdf5Arrays& file) {
  NoiseScheduleConfig config;
  config.beta_start = file.number("beta_start").value_or(config.beta_start);
  config.beta_end = file.number("beta_end").value_or(config.beta_end);
  const std::string kind = file.text("beta_schedule").value_or("scaled_linear");
  if (kind != "linear" && kind != "scaled_linear") {
    throw DataError(
        concat(file.path(), ": beta_schedule is '", kind, "'; known are linear and scaled_linear"));
  }
  config.beta_schedule = kind == "linear" ? BetaSchedule::linear : BetaSchedule::scaled_linear;
  return config;
}

std::unique_ptr<Prior> load_mixture(const std::string& path, const at::TensorOptions& options) {
  const Hdf5Arrays file(path);
  const auto read = [&](const char* name, bool needed) {
    if (!needed && !file.has(name)) return at::Tensor();
    const NumericArray array = file.read(name);
    return at::tensor(at::ArrayRef<double>(array.values), at::kDouble).reshape(array.shape);
  };
  GaussianMixture mixture{.weights = read("/weights", true),
                          .means = read("/means", true),
                          .covariances = read("/covariances", true),
                          .decoder = read("/decoder", false),
                          .offset = read("/offset", false),
                          .schedule = schedule_of(file)};
  try {
    return make_gaussian_mixture(mixture, options);
  } catch (const DataError& error) {
    throw DataError(concat("prior.path: ", path, ": ", error.what()));
  }
}

/// Throws UsageError where the options of the flow do not go together.
void require_consistent(const FlowOptions& options, const ProblemInput& problem) {
  const auto refuse = [](const std::string& what, const std::string& advice) {
    throw UsageError(concat(what, "; ", advice));
  };
  const bool affine = options.method == Method::affine, gibbs = options.method == Method::gibbs;
  const bool bayes = options.data.objective == Objective::bayes;
  const InteractionOptions& interaction = options.interaction;
  const bool gaussian = interaction.kind == InteractionKind::gaussian;
  const std::string method = concat("flow.method = ", entry_of(options.method).name);
  if (!bayes && (affine || gibbs)) {
    refuse(concat(method, " is for the posterior, and flow.objective is reference"),
           "set flow.objective = bayes (flow.preset = bayes sets the whole group)");
  }
  if (affine && !(gaussian && interaction.covariance == CovarianceKind::full)) {
    refuse(concat(method, " needs the ensemble's whole score"),
           "set flow.interaction = gaussian and flow.covariance = full");
  }
  if (affine && options.rate >= 1.0) {
    refuse(concat("flow.lr = ", options.rate, " is the affine flow's step, which is below 1"),
           "set flow.lr = 0.5");
  }
  if (gibbs && !gaussian) {
    refuse(concat(method, " takes from the ensemble its covariance alone, and flow.interaction is another"),
           "set flow.interaction = gaussian");
  }
  if (gibbs && interaction.covariance == CovarianceKind::lowrank) {
    refuse(concat(method, " has no use for a shrunk covariance"),
           "set flow.covariance = diagonal, or full with more particles than latent entries");
  }
  if (bayes && problem.noise == "gaussian" && !problem.has_gaussian_likelihood()) {
    refuse("problem.sigma = 0 means measurements without noise, which have no likelihood",
           "give the noise's standard deviation, however small, or use flow.objective = reference");
  }
}

at::ScalarType network_type(Precision precision) {
  switch (precision) {
    case Precision::fp64:
      return at::kDouble;
    case Precision::bf16:
      return at::kBFloat16;
    case Precision::fp16:
      return at::kHalf;
    default:
      return at::kFloat;  // fp32, and tf32, which is a way of GPUs to multiply it
  }
}

std::optional<DecoderGradient> decoder_gradient(DecoderMemory memory) {
  switch (memory) {
    case DecoderMemory::plain:
      return DecoderGradient::plain;
    case DecoderMemory::recompute:
      return DecoderGradient::recompute;
    case DecoderMemory::tiled:
      return DecoderGradient::tiled;
    default:
      return std::nullopt;
  }
}

/// prior.context: [1, tokens, dim].
at::Tensor read_context(const std::string& path) {
  const NpyFile array(path);
  if (array.shape().size() != 3 || array.shape()[0] != 1)
    throw DataError(concat("prior.context: '", path, "' must hold a prompt's embedding, [1, tokens, dim]"));
  const at::Tensor context =
      at::tensor(at::ArrayRef<float>(array.read(0, array.size()))).reshape(array.shape());
  if (!at::isfinite(context).all().item<bool>())
    throw DataError(concat("prior.context: '", path, "' holds a value that is not finite; make it again"));
  return context;
}

}  // namespace

bool is_mixture(const std::string& prior_path) {
  std::error_code ignored;
  return !prior_path.starts_with(kBuiltin) && fs::is_regular_file(prior_path, ignored);
}

FlowOptions flow_options(const JobInput& job) {
  require_consistent(job.method.options, job.problem);
  return job.method.options;
}

std::string prior_directory(const std::string& path) {
  if (!path.starts_with(kBuiltin)) {
    if (!fs::is_directory(path)) {
      throw NotFoundError(concat(
          "prior.path: '", path,
          "' is neither a folder nor a file; give a diffusers directory (unet/, vae/, scheduler/), the "
          "HDF5 file of a Gaussian mixture, or builtin:fashion"));
    }
    return path;
  }
  const std::string name = path.substr(kBuiltin.size());
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  // The program is bin/dwgf or libexec/dwgf/dwgf.
  for (const fs::path& folder : {program / "../share/dwgf/priors", program / "../../share/dwgf/priors",
                                 fs::path(DWGF_SOURCE_PRIORS)}) {
    const bool plain = !name.empty() && name.find('/') == std::string::npos && name != "." && name != "..";
    if (plain && fs::is_directory(folder / name)) return (folder / name).lexically_normal().string();
  }
  throw NotFoundError(concat("prior.path: there is no built-in prior '", name, "'; known: builtin:fashion"));
}

std::unique_ptr<Prior> build_prior(const JobInput& job, const c10::Device& device) {
  const auto& [path, prompt, context, unet_precision, autoencoder_precision, memory] = job.prior;
  const Precision unet = job.unet_precision(), autoencoder = job.autoencoder_precision();
  const auto dtype = job.method.precision == Precision::fp64 ? at::kDouble : at::kFloat;
  const bool mixture = is_mixture(path);
  const std::string directory = mixture ? path : prior_directory(path);
  if (mixture || is_pixel_diffusion(directory)) {
    if (!prompt.empty() || !context.empty()) {
      throw UsageError(concat(prompt.empty() ? "prior.context" : "prior.prompt", ": the prior '", path,
                              "' takes no prompt; leave it out"));
    }
    const auto tensors = at::TensorOptions(dtype).device(device);
    return mixture ? load_mixture(path, tensors)
                   : load_pixel_diffusion(directory, tensors, network_type(unet), unet == Precision::tf32);
  }
  StableDiffusionOptions options;
  options.dtype = dtype;
  options.device = device;
  options.unet_type = network_type(unet);
  options.autoencoder_type = network_type(autoencoder);
  options.unet_tf32 = unet == Precision::tf32;
  options.autoencoder_tf32 = autoencoder == Precision::tf32;
  options.decoder_gradient = decoder_gradient(memory);
  options.prompt = prompt;
  if (!context.empty()) options.context = read_context(context);
  if (!prompt.empty() && !context.empty()) {
    throw UsageError(
        "prior.prompt: a prompt's embedding is given too, as prior.context; leave one of them out");
  }
  if (!prompt.empty() && !fs::is_directory(fs::path(directory) / "text_encoder")) {
    throw UsageError(concat("prior.prompt: '", directory,
                            "' has no text_encoder/ to read a prompt with; leave the prompt out, name a "
                            "prior that has one, or give the prompt's embedding as prior.context = FILE.npy "
                            "of [1, tokens, dim]"));
  }
  return load_stable_diffusion(directory, options);
}

std::optional<GaussianImages> image_statistics(const std::string& prior_path) {
  if (is_mixture(prior_path)) return std::nullopt;
  const fs::path file = fs::path(prior_directory(prior_path)) / "statistics.safetensors";
  if (!fs::exists(file)) return std::nullopt;
  const SafetensorsFile stored(file);
  GaussianImages images;
  for (const StoredTensor& tensor : stored.tensors()) {
    // clone: the view shares the mapping, which ends with this function
    if (tensor.name == "mean") images.mean = stored.view(tensor).to(at::kDouble).clone();
    if (tensor.name == "factor") images.factor = stored.view(tensor).to(at::kDouble).clone();
    if (tensor.name == "residual") images.residual = stored.view(tensor).to(at::kDouble).clone();
  }
  if (!images.mean.defined() || !images.factor.defined() || !images.residual.defined()) {
    throw DataError(concat("'", file.string(), "' must hold the tensors mean, factor and residual"));
  }
  return images;
}

}  // namespace dwgf
