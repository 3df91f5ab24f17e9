#include "job/build.hpp"

#include <filesystem>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "catalogue/methods.hpp"
#include "data/npy.hpp"
#include "prior/files/safetensors.hpp"
#include "prior/windows.hpp"

namespace dwgf {

namespace {
namespace fs = std::filesystem;
constexpr std::string_view kBuiltin = "builtin:";

/// Throws UsageError where the options of the flow do not go together.
void require_consistent(const FlowOptions& options, const ProblemInput& problem) {
  const auto refuse = [](const std::string& what, const std::string& advice) {
    throw UsageError("{}; {}", what, advice);
  };
  const bool affine = options.method == Method::affine, gibbs = options.method == Method::gibbs;
  const bool bayes = options.data.objective == Objective::bayes;
  const InteractionOptions& interaction = options.interaction;
  const bool gaussian = interaction.kind == InteractionKind::gaussian;
  const std::string method = formatted("flow.method = {}", entry_of(options.method).name);
  if (!bayes && (affine || gibbs)) {
    refuse(formatted("{} is for the posterior, and flow.objective is reference", method),
           "set flow.objective = bayes (flow.preset = bayes sets the whole group)");
  }
  if (affine && !(gaussian && interaction.covariance == CovarianceKind::full)) {
    refuse(formatted("{} needs the ensemble's whole score", method),
           "set flow.interaction = gaussian and flow.covariance = full");
  }
  if (affine && options.rate >= 1.0) {
    refuse(formatted("flow.lr = {} is the affine flow's step, which is below 1", options.rate),
           "set flow.lr = 0.5");
  }
  if (gibbs && !gaussian) {
    refuse(
        formatted("{} takes from the ensemble its covariance alone, and flow.interaction is another", method),
        "set flow.interaction = gaussian");
  }
  if (gibbs && interaction.covariance == CovarianceKind::lowrank) {
    refuse(formatted("{} has no use for a shrunk covariance", method),
           "set flow.covariance = diagonal, or full with more particles than latent entries");
  }
  if (options.polish > 0 && options.stall > 0.0) {
    refuse("flow.polish is of the last steps, and flow.stop = stall may leave them out",
           "set flow.stop = steps, or leave flow.polish out");
  }
  const bool likelihood = bayes || entry_of(options.method).needs_likelihood;
  if (likelihood && problem.noise == "gaussian" && !problem.has_gaussian_likelihood()) {
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
    default:
      return std::nullopt;
  }
}

/// Throws UsageError, NotFoundError where prior.codec names none that could serve the prior of these files.
void require_place_for_codec(const PriorInput& prior, const std::string& files) {
  if (prior.codec.empty()) return;
  std::error_code ignored;
  if (!fs::is_directory(fs::path(files) / "vae", ignored)) {
    throw UsageError(
        "prior.codec: the prior '{}' has no vae/ whose place another autoencoder could take; leave it out",
        prior.path);
  }
  if (!fs::is_directory(prior.codec, ignored)) {
    throw NotFoundError(
        "prior.codec: no such folder: '{}'; name one with the config.json and the weights of an "
        "AutoencoderTiny or an AutoencoderKL",
        prior.codec);
  }
}

/// prior.context: [1, tokens, dim]; undefined where none is named.
at::Tensor read_context(const std::string& path) {
  if (path.empty()) return {};
  const NpyFile array(path);
  if (array.shape().size() != 3 || array.shape()[0] != 1)
    throw DataError("prior.context: '{}' must hold a prompt's embedding, [1, tokens, dim]", path);
  const at::Tensor context =
      at::tensor(at::ArrayRef<float>(array.read(0, array.size()))).reshape(array.shape());
  if (!at::isfinite(context).all().item<bool>())
    throw DataError("prior.context: '{}' holds a value that is not finite; make it again", path);
  return context;
}

/// Refuses what is not yet, or only a part of, what a prior is loaded from.
void require_whole_prior(const fs::path& path) {
  std::error_code ignored;
  const std::string ending = path.extension().string();
  for (const char* of_weights : {".safetensors", ".ckpt", ".pt", ".pth", ".bin"}) {
    if (ending != of_weights || !fs::is_regular_file(path, ignored)) continue;
    throw DataError(
        "prior.path: '{}' is a single file of weights; convert it to a diffusers directory (unet/, vae/, "
        "scheduler/), in Python with diffusers: StableDiffusionPipeline.from_single_file(FILE)"
        ".save_pretrained(FOLDER), and name that folder",
        path.string());
  }
  const fs::path whole = fs::absolute(path, ignored).lexically_normal();
  const fs::path above = whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();
  const bool has_parts = fs::exists(path / "unet", ignored) || fs::exists(path / "scheduler", ignored);
  const bool is_part = fs::is_directory(path, ignored) && !has_parts && fs::exists(above / "vae", ignored) &&
                       fs::exists(above / "scheduler", ignored);
  if (is_part) {
    throw UsageError("prior.path: '{}' is a part of a model; give the folder above it, {}", path.string(),
                     above.string());
  }
}

/// The windows that the job asks for; nothing where it asks for none.
std::optional<WindowSize> window_size(const PriorInput& input, const PriorGeometry& geometry) {
  if (input.window == 0) return std::nullopt;
  const std::int64_t size = input.window.value_or(geometry.trained);
  if (size == 0) {
    throw UsageError(
        "prior.window = auto: the prior '{}' does not say what size it was trained on; give the window's "
        "size, in latent pixels",
        input.path);
  }
  return WindowSize{size, input.overlap.value_or((size + 3) / 4), input.windows_move};
}

}  // namespace

FlowOptions flow_options(const JobInput& job) {
  require_consistent(job.method.options, job.problem);
  if (job.method.options.polish > 0 && job.prior.codec.empty()) {
    throw UsageError(
        "flow.polish = {} is of steps that follow those with another autoencoder, and prior.codec names "
        "none; "
        "name one, or leave flow.polish out",
        job.method.options.polish);
  }
  return job.method.options;
}

std::string prior_files(const std::string& path) {
  if (!path.starts_with(kBuiltin)) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored) && !fs::is_regular_file(path, ignored)) {
      throw NotFoundError(
          "prior.path: '{}' is neither a folder nor a file; give a diffusers directory (unet/, vae/, "
          "scheduler/), the HDF5 file of a Gaussian mixture, builtin:photo or builtin:fashion",
          path);
    }
    require_whole_prior(path);
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
  throw NotFoundError("prior.path: there is no built-in prior '{}'; known: builtin:photo, builtin:fashion",
                      name);
}

std::unique_ptr<Prior> build_prior(const JobInput& job, const c10::Device& device) {
  const std::string &path = job.prior.path, &prompt = job.prior.prompt, &context = job.prior.context;
  const Precision unet = job.unet_precision(), autoencoder = job.autoencoder_precision();
  const std::string files = prior_files(path);
  const PriorFamily& family = family_of(files);
  if (!family.takes_prompt && (!prompt.empty() || !context.empty())) {
    throw UsageError("{}: the prior '{}' takes no prompt; leave it out",
                     prompt.empty() ? "prior.context" : "prior.prompt", path);
  }
  if (!family.takes_prompt && job.prior.guidance != 1.0) {
    throw UsageError(
        "prior.guidance = {}: the prior '{}' takes no prompt, so there is nothing to be guided by; leave it "
        "out",
        job.prior.guidance, path);
  }
  if (!job.prior.negative_prompt.empty() && job.prior.guidance == 1.0) {
    throw UsageError(
        "prior.negative_prompt has no effect without guidance; set prior.guidance, 2 to 8 are usual, or "
        "leave "
        "it out");
  }
  require_place_for_codec(job.prior, files);
  const PriorOptions options{.dtype = job.method.precision == Precision::fp64 ? at::kDouble : at::kFloat,
                             .device = device,
                             .context = read_context(context),
                             .prompt = prompt,
                             .guidance = job.prior.guidance,
                             .negative_prompt = job.prior.negative_prompt,
                             .unet_type = network_type(unet),
                             .autoencoder_type = network_type(autoencoder),
                             .unet_tf32 = unet == Precision::tf32,
                             .autoencoder_tf32 = autoencoder == Precision::tf32,
                             .decoder_gradient = decoder_gradient(job.prior.decoder_gradient),
                             .codec = job.prior.codec,
                             .keeps_own_codec = job.method.options.polish > 0,
                             .times = job.prior.times};
  if (!prompt.empty() && options.context.defined()) {
    throw UsageError(
        "prior.prompt: a prompt's embedding is given too, as prior.context; leave one of them out");
  }
  if (!prompt.empty() && !fs::is_directory(fs::path(files) / "text_encoder")) {
    throw UsageError(
        "prior.prompt: '{}' has no text_encoder/ to read a prompt with; leave the prompt out, name a prior "
        "that has one, or give the prompt's embedding as prior.context = FILE.npy of [1, tokens, dim]",
        files);
  }
  std::unique_ptr<Prior> prior = family.load(files, options);
  if (!job.prior.times.empty() && !prior->few_steps) {
    throw UsageError("prior.times: the prior '{}' has no table of times to choose from; leave it out", path);
  }
  if (const auto size = window_size(job.prior, prior->geometry)) *prior = with_windows(*prior, *size);
  return prior;
}

std::string moments_file(const std::string& prior_path) {
  const std::string files = prior_files(prior_path);
  std::error_code ignored;
  return fs::is_directory(files, ignored) ? (fs::path(files) / "moments.safetensors").string()
                                          : files + ".moments.safetensors";
}

std::optional<PriorMoments> prior_moments(const PriorInput& input, const std::string& prior_sha256) {
  const std::string file = input.moments.empty() ? moments_file(input.path) : input.moments;
  std::error_code ignored;
  if (input.moments.empty() && !fs::exists(file, ignored)) return std::nullopt;
  PriorMoments moments = read_moments(file);
  const auto measured = moments.about().find("prior_sha256");
  if (measured == moments.about().end() || measured->second != prior_sha256) {
    throw DataError(
        "prior.moments: '{}' was measured of another prior than '{}' (their weights differ); measure this "
        "one's with `dwgf calibrate-prior`, and name the file as prior.moments",
        file, input.path);
  }
  return moments;
}

std::optional<GaussianImages> image_statistics(const std::string& prior_path) {
  const fs::path file = fs::path(prior_files(prior_path)) / "statistics.safetensors";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  const SafetensorsFile stored(file);
  GaussianImages images;
  for (const StoredTensor& tensor : stored.tensors()) {
    // clone: the view shares the mapping, which ends with this function
    if (tensor.name == "mean") images.mean = stored.view(tensor).to(at::kDouble).clone();
    if (tensor.name == "factor") images.factor = stored.view(tensor).to(at::kDouble).clone();
    if (tensor.name == "residual") images.residual = stored.view(tensor).to(at::kDouble).clone();
  }
  if (!images.mean.defined() || !images.factor.defined() || !images.residual.defined()) {
    throw DataError("'{}' must hold the tensors mean, factor and residual", file.string());
  }
  return images;
}

}  // namespace dwgf
