#include "job/build.hpp"

#include <filesystem>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/prior/families/gaussian_mixture.hpp>
#include <dwgf/prior/families/pixel_diffusion.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

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

}  // namespace

namespace {

/// Of `flow.stop`: the share of the misfit, or 0.
double stall_tolerance(const std::string& stop) {
  if (stop == "steps") return 0.0;
  const std::string_view prefix = "stall:";
  const std::optional<double> tolerance =
      stop.starts_with(prefix) ? parse_double(stop.substr(prefix.size())) : std::nullopt;
  if (!tolerance || !(*tolerance > 0.0 && *tolerance < 1.0)) {
    throw UsageError(concat("flow.stop = ", stop,
                            "; allowed: steps, or stall:TOLERANCE with a tolerance between 0 and 1"));
  }
  return *tolerance;
}

/// Throws UsageError where the options of the flow do not go together.
void require_consistent(const FlowOptions& options, const Settings& settings) {
  const auto refuse = [](const std::string& what, const std::string& advice) {
    throw UsageError(concat(what, "; ", advice));
  };
  const bool bayes = options.data.objective == Objective::bayes;
  if (!bayes && (options.method == Method::affine || options.method == Method::gibbs)) {
    refuse(concat("flow.integrator = ", settings.text("flow.integrator"),
                  " is for the posterior, and flow.objective is reference"),
           "set flow.objective = bayes (flow.preset = bayes sets the whole group)");
  }
  if (options.method == Method::affine) {
    const bool gaussian = options.interaction.kind == InteractionKind::gaussian;
    if (!(options.interaction.kind == InteractionKind::mixture ||
          (gaussian && options.interaction.covariance == CovarianceKind::full))) {
      refuse("flow.integrator = affine needs the ensemble's whole score",
             "set flow.interaction = mixture, or gaussian with flow.covariance = full");
    }
    if (options.rate >= 1.0)
      refuse(concat("flow.lr = ", settings.text("flow.lr"), " is the affine flow's step, which is below 1"),
             "set flow.lr = 0.5");
  }
  if (options.method == Method::gibbs && options.interaction.kind != InteractionKind::gaussian) {
    refuse(
        concat(
            "flow.integrator = gibbs takes from the ensemble its covariance alone, and flow.interaction is ",
            settings.text("flow.interaction")),
        "set flow.interaction = gaussian");
  }
  if (options.method == Method::gibbs && options.interaction.covariance == CovarianceKind::lowrank) {
    refuse("flow.integrator = gibbs has no use for a shrunk covariance",
           "set flow.covariance = diagonal, or full with more particles than latent entries");
  }
  if (bayes && settings.text("problem.noise") == "gaussian" && settings.text("problem.sigma") != "estimate" &&
      settings.real("problem.sigma") == 0.0) {
    refuse("problem.sigma = 0 means measurements without noise, which have no likelihood",
           "give the noise's standard deviation, however small, or use flow.objective = reference");
  }
}

}  // namespace

bool is_mixture(const std::string& prior_path) {
  std::error_code ignored;
  return !prior_path.starts_with(kBuiltin) && fs::is_regular_file(prior_path, ignored);
}

FlowOptions flow_options(const Settings& settings) {
  FlowOptions options;
  options.particles = settings.integer("flow.particles");
  options.grid = settings.integer("flow.grid");
  options.steps = settings.integer("flow.steps");
  const std::string& interaction = settings.text("flow.interaction");
  options.interaction.kind = interaction == "mixture"     ? InteractionKind::mixture
                             : interaction == "gaussian"  ? InteractionKind::gaussian
                             : interaction == "repulsion" ? InteractionKind::repulsion
                                                          : InteractionKind::none;
  options.data.objective =
      settings.text("flow.objective") == "bayes" ? Objective::bayes : Objective::reference;
  const std::string& covariance = settings.text("flow.covariance");
  options.interaction.covariance = covariance == "full"      ? CovarianceKind::full
                                   : covariance == "lowrank" ? CovarianceKind::lowrank
                                                             : CovarianceKind::diagonal;
  options.spacing = settings.text("flow.spacing") == "log" ? Spacing::log : Spacing::linear;
  options.settle = settings.integer("flow.settle");
  options.gibbs.data_steps = settings.integer("flow.data_steps");
  options.interaction.repulsion = settings.real("flow.repulsion");
  options.weight = settings.real("flow.weight");
  options.data.consistency = settings.real("flow.consistency");
  options.data.consistency_every = settings.integer("flow.consistency_every");
  options.data.decoder_std = settings.real("flow.decoder_std");
  options.rate = settings.real("flow.lr");
  options.stall = stall_tolerance(settings.text("flow.stop"));
  options.data.encode = settings.text("flow.encode") == "sample" ? EncodeMode::sample : EncodeMode::mean;
  const std::string &method = settings.text("flow.method"), &integrator = settings.text("flow.integrator");
  options.method = method == "rlsd"         ? Method::rlsd
                   : method == "psld"       ? Method::psld
                   : method == "latent-dps" ? Method::latent_dps
                   : integrator == "affine" ? Method::affine
                   : integrator == "gibbs"  ? Method::gibbs
                                            : Method::dwgf;
  options.guidance.weight = settings.real("flow.guidance");
  options.psld.gluing = settings.real("flow.gluing");
  options.guidance.eta = settings.real("flow.eta");
  options.rlsd.coupling = settings.real("flow.coupling");
  options.rlsd.image_rate = settings.real("flow.image_lr");
  options.micro_batch = settings.integer("flow.micro_batch");
  options.seed = settings.unsigned_integer("flow.seed");
  options.record_every = settings.integer("store.diagnostics_every");
  require_consistent(options, settings);
  return options;
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

namespace {

/// Of a network: `key`, or flow.precision where that says so.
const std::string& network_precision(const Settings& settings, const std::string& key) {
  const std::string& own = settings.text(key);
  return own == "flow" ? settings.text("flow.precision") : own;
}

at::ScalarType network_type(const std::string& precision) {
  if (precision == "fp64") return at::kDouble;
  if (precision == "bf16") return at::kBFloat16;
  if (precision == "fp16") return at::kHalf;
  return at::kFloat;  // fp32, and tf32, which is a way of GPUs to multiply it
}

std::optional<DecoderGradient> decoder_gradient(const std::string& name) {
  if (name == "plain") return DecoderGradient::plain;
  if (name == "recompute") return DecoderGradient::recompute;
  if (name == "tiled") return DecoderGradient::tiled;
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Prior> build_prior(const Settings& settings, const c10::Device& device) {
  const std::string& unet = network_precision(settings, "prior.unet_precision");
  const std::string& autoencoder = network_precision(settings, "prior.autoencoder_precision");
  const std::string& path = settings.text("prior.path");
  const auto dtype = settings.text("flow.precision") == "fp64" ? at::kDouble : at::kFloat;
  const std::string& context = settings.text("prior.context");
  const bool mixture = is_mixture(path);
  const std::string directory = mixture ? path : prior_directory(path);
  if (mixture || is_pixel_diffusion(directory)) {
    for (const char* key : {"prior.prompt", "prior.context"}) {
      if (settings.text(key).empty()) continue;
      throw UsageError(concat(key, ": the prior '", path, "' takes no prompt; leave it out"));
    }
    const auto tensors = at::TensorOptions(dtype).device(device);
    return mixture ? load_mixture(path, tensors)
                   : load_pixel_diffusion(directory, tensors, network_type(unet), unet == "tf32");
  }
  StableDiffusionOptions options;
  options.dtype = dtype;
  options.device = device;
  options.unet_type = network_type(unet);
  options.autoencoder_type = network_type(autoencoder);
  options.unet_tf32 = unet == "tf32";
  options.autoencoder_tf32 = autoencoder == "tf32";
  options.decoder_gradient = decoder_gradient(settings.text("prior.decoder_gradient"));
  if (!context.empty()) {
    const NpyFile array(context);
    if (array.shape().size() != 3 || array.shape()[0] != 1) {
      throw DataError(
          concat("prior.context: '", context, "' must hold a prompt's embedding, [1, tokens, dim]"));
    }
    options.context = at::tensor(at::ArrayRef<float>(array.read(0, array.size()))).reshape(array.shape());
    if (!at::isfinite(options.context).all().item<bool>()) {
      throw DataError(
          concat("prior.context: '", context, "' holds a value that is not finite; make it again"));
    }
  }
  options.prompt = settings.text("prior.prompt");
  if (!options.prompt.empty() && !context.empty()) {
    throw UsageError(
        "prior.prompt: a prompt's embedding is given too, as prior.context; leave one of them out");
  }
  if (!options.prompt.empty() && !fs::is_directory(fs::path(directory) / "text_encoder")) {
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

at::Tensor as_tensor(const ImagePixels& pixels) {
  return at::tensor(at::ArrayRef<float>(pixels.values))
      .reshape({pixels.channels, pixels.height, pixels.width});
}

at::Tensor measure(const ForwardOperator& forward, const NoiseModel& noise, const at::Tensor& truth,
                   std::uint64_t seed, std::uint64_t image) {
  const at::Tensor clean = forward.apply(truth.to(at::kDouble).unsqueeze(0)).squeeze(0);  // [...]
  return noise.sample(clean, {seed, image, 0, 0, Purpose::measurement}).to(at::kFloat);
}

}  // namespace dwgf
