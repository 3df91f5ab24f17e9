#include "job/restore_job.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/solve.hpp>

#include "catalogue/methods.hpp"
#include "flow/known_methods.hpp"
#include "job/build.hpp"
#include "job/posterior_products.hpp"
#include "job/step_clock.hpp"
#include "job/tensors.hpp"
#include "job/unknowns/job_unknowns.hpp"
#include "service/launcher.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

/// Of a network that sees windows: each is an image of its own size to it.
Conditioning without_sizes(Conditioning given) {
  given.sizes = at::Tensor();
  if (given.unconditional)
    given.unconditional = std::make_shared<const Conditioning>(without_sizes(*given.unconditional));
  return given;
}

bool needs_moments(const FlowOptions& flow) {
  if (flow.method == Method::kalman || flow.start == Start::kalman) return true;
  return flow.method == Method::latino && flow.latino.delta == LatinoDelta::measured;
}

}  // namespace

RestoreJob::RestoreJob(const Settings& settings, Communicator& ranks, const c10::Device& device)
    : settings_(settings), flow_(flow_options(input())) {
  if (input().images.data.empty()) {
    throw UsageError(
        "input.data is not set: name the images to restore (a folder, a .npy or FILE.h5:/dataset)");
  }
  if (input().store.out.empty()) {
    throw UsageError(
        "store.out is not set: name the results file to write, for example --store.out results.h5");
  }
  problems_ = open_problems(settings_, ranks);
  posterior_datasets(input(), {}, problems_->has_truth());  // refuses what does not go together
  if (input().prior.decoder_gradient == DecoderMemory::tiled) {
    throw UsageError(
        "prior.decoder_gradient = tiled is no longer computed, as it was off by up to a half; set recompute, "
        "whose bits are those of plain");
  }
  prior_ = build_prior(input(), device);
  if (needs_moments(flow_)) {
    if (auto moments = prior_moments(input().prior, prior_->sha256))
      prior_->moments = std::make_shared<const PriorMoments>(*std::move(moments));
  }

  if (const auto channels = problems_->channels(); channels && *channels != prior_->geometry.image_channels) {
    throw DataError(
        "input.data: '{}' holds measurements of images of {} channels, but the prior is of images of {}; "
        "measure them so (degrade has input.channels), or name another prior",
        input().images.data, *channels, prior_->geometry.image_channels);
  }

  // One image that fits is enough to start; none means that the job as a whole is wrong.
  bool any = false;
  const std::optional<Error> error = visit_sizes(images(), /*others_may_do=*/false, [&](std::int64_t row) {
    if (any || images()[static_cast<std::size_t>(row)].height == 0) return;
    forward_for(row);
    any = true;
  });
  if (any) return;
  if (error) throw *error;
  problems_->read(0, prior_->geometry.image_channels);  // says why not even the first has a size
  throw DataError("input.data: no image in '{}' can be read", input().images.data);
}

std::vector<std::string> RestoreJob::warnings() const {
  std::vector<std::string> warnings = problems_->warnings();
  const bool tf32 =
      input().unet_precision() == Precision::tf32 || input().autoencoder_precision() == Precision::tf32;
  if (tf32 && prior_->options.device().is_cpu()) {
    warnings.emplace_back(
        "tf32 (flow.precision, prior.unet_precision or prior.autoencoder_precision) is a way of GPUs to "
        "multiply; on a CPU it is the same as fp32");
  }
  if (prior_->few_steps && flow_.method != Method::latino && flow_.method != Method::kalman) {
    warnings.push_back(formatted(
        "the prior was distilled to few steps: its clean estimates are likely images and no means, so "
        "that flow.method = {}, which makes scores of them, is biased; such priors are for flow.method "
        "= latino with flow.grid = {}, or for kalman with moments of their own",
        entry_of(flow_.method).name, prior_->few_steps->steps + 1));
  }
  warnings.insert(warnings.begin(), prior_->warnings.begin(), prior_->warnings.end());
  warn_of_prompts(warnings);
  return warnings;
}

std::optional<RefusedImages> RestoreJob::refused() const {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::string> reasons;  // of a size; empty: it fits
  RefusedImages refused;
  for (std::size_t row = 0; row < images().size(); ++row) {
    const ImageEntry& image = images()[row];
    const auto [reason, is_new] = reasons.try_emplace({image.height, image.width});
    if (is_new) {
      try {
        if (image.height == 0 || image.width == 0)
          problems_->read(static_cast<std::int64_t>(row), prior_->geometry.image_channels);
        forward_for(static_cast<std::int64_t>(row));
      } catch (const Error& error) {
        reason->second = error.what();
      }
    }
    if (reason->second.empty()) continue;
    if (refused.count++ > 0) continue;
    refused.first = image.name;
    refused.why = reason->second;
  }
  return refused.count > 0 ? std::optional(refused) : std::nullopt;
}

void RestoreJob::warn_of_prompts(std::vector<std::string>& warnings) const {
  const bool reads = prior_->conditioner && prior_->conditioner->reads_prompts();
  const auto counted = [](std::int64_t n) { return formatted("{} image{}", n, n == 1 ? "" : "s"); };
  std::int64_t prompts = 0, cut = 0;
  std::string first;
  for (const ImageEntry& image : images()) {
    if (image.prompt.empty()) continue;
    ++prompts;
    try {
      if (!reads || !prior_->conditioner->cuts_short(image.prompt)) continue;
    } catch (const UsageError&) {
      continue;  // told with the image
    }
    if (cut++ == 0) first = image.name;
  }
  if (prompts > 0 && !reads) {
    warnings.push_back(formatted(
        "prompts of {} (/image/prompt, or NAME.txt beside the image) are left out: this prior does not "
        "read any",
        counted(prompts)));
  }
  if (cut > 0) {
    warnings.push_back(formatted(
        "prompts of {} (the first is {}) are longer than the text encoder reads; their ends are left out",
        counted(cut), first));
  }
}

void RestoreJob::require_canvas(const ImageEntry& image) const {
  try {
    prior_->geometry.canvas(image.height, image.width);
  } catch (const DataError& error) {
    throw DataError("image '{}': {}", image.name, error.what());
  }
}

std::shared_ptr<const ForwardOperator> RestoreJob::forward_for(std::int64_t row) const {
  require_canvas(images()[static_cast<std::size_t>(row)]);
  auto forward = problems_->forward(row, prior_->geometry.image_channels);
  require_fits(flow_.method, *forward);
  return forward;
}

ResultsLayout RestoreJob::layout(const std::string& system) const {
  const PriorGeometry& geometry = prior_->geometry;
  std::int64_t height = 0, width = 0, latent_height = 0, latent_width = 0;
  std::vector<std::int64_t> measured;
  // What goes wrong with an image is told when its turn comes.
  visit_sizes(images(), /*others_may_do=*/false, [&](std::int64_t row) {
    const ImageEntry& image = images()[static_cast<std::size_t>(row)];
    height = std::max<std::int64_t>(height, image.height);
    width = std::max<std::int64_t>(width, image.width);
    const Canvas canvas = geometry.canvas(image.height, image.width);
    latent_height = std::max(latent_height, canvas.latent_height);
    latent_width = std::max(latent_width, canvas.latent_width);
    grow(measured, forward_for(row)->measurement_shape());
  });
  const schema::Extents extents{
      {geometry.image_channels, height, width},
      measured,
      {geometry.latent_channels, latent_height, latent_width},
      flow_.particles,
      static_cast<std::int64_t>(recorded_steps(step_count(flow_), flow_.record_every).size())};

  ResultsLayout layout;
  layout.images = images();
  if (has_prompts(layout)) {
    for (ImageEntry& image : layout.images)
      if (image.prompt.empty()) image.prompt = input().prior.prompt;
  }
  const auto add = [&](const schema::Dataset& dataset, const std::string& name = "",
                       NumberType type = NumberType::float32) {
    if (type != NumberType::none) layout.datasets.push_back(extents.layout(dataset, name, type));
  };
  for (const auto* dataset : {&schema::kPosteriorMean, &schema::kPosteriorStd, &schema::kMeasurement})
    add(*dataset);
  if (problems_->has_truth()) add(schema::kTruth);
  for (const DatasetLayout& dataset : posterior_datasets(input(), extents, problems_->has_truth()))
    layout.datasets.push_back(dataset);
  if (input().problem.has_own_sigmas()) add(schema::kSigma);
  for (DatasetLayout& dataset : estimated_datasets(input().problem, step_count(flow_)))
    layout.datasets.push_back(std::move(dataset));
  add_operator_arrays(layout);
  add(schema::kParticles, "", input().store.particles);
  add(schema::kLatents, "", input().store.latents);
  for (const auto* dataset : {&schema::kTimingCompute, &schema::kTimingWait, &schema::kTimingProcessors})
    add(*dataset);
  for (const char* part : kStepPartNames) add(schema::kTimingStep, part);
  add(schema::kTimingGroup);
  for (const std::string& name : Diagnostics::names()) add(schema::kDiagnostic, name);
  layout.attributes = {
      {"job", settings_.ini()}, {"version", version()}, {"prior_sha256", prior_->sha256}, {"system", system}};
  if (const auto units = problems_->units()) put_units(layout.attributes, *units);
  if (prior_->moments) layout.attributes["moments_sha256"] = prior_->moments->sha256();
  layout.alignment = input().store.alignment;
  layout.chunk_bytes = input().store.chunk;
  return layout;
}

/// So that the file can be evaluated where what the operator was built from is no longer at hand.
void RestoreJob::add_operator_arrays(ResultsLayout& layout) const {
  const std::vector<CarriedArray> carried = problems_->arrays();
  std::optional<ImageProblem> any;
  std::map<std::string, std::vector<std::int64_t>> rows;
  if (carried.empty()) return;
  visit_sizes(images(), /*others_may_do=*/true, [&](std::int64_t row) {
    const ImageProblem problem = prepare(row);
    if (!any) any = problem;
    for (const auto& [name, array] : problem.arrays) grow(rows[name], array.sizes());
  });
  for (const CarriedArray& array : carried) {
    const std::string& name = array.use.name;
    if (array.use.reference.empty() || !any) continue;  // drawn anew from the job's seed
    if (array.per_image) {
      layout.datasets.push_back({schema::kProblemArray.named(name), NumberType::float32, rows.at(name)});
    } else {
      const at::Tensor values = any->arrays.at(name).to(at::kFloat).contiguous();
      const float* first = values.data_ptr<float>();
      layout.constants[name] = {values.sizes().vec(), {first, first + values.numel()}};
    }
  }
}

std::unique_ptr<NoiseModel> RestoreJob::noise(const ImageProblem& problem) const {
  return make_noise_model(input().problem.noise, problem.sigma, *problem.forward);
}

Unknowns RestoreJob::unknowns(const ImageProblem& problem) const {
  return unknowns_of(input().problem, problem);
}

Prior RestoreJob::prior_of(std::int64_t row) const {
  const ImageEntry& image = images()[static_cast<std::size_t>(row)];
  Prior prior = *prior_;
  if (!prior.conditioner) return prior;
  const bool own = !image.prompt.empty() && prior.conditioner->reads_prompts();
  try {
    prior.conditioning =
        prior.conditioner->of(own ? std::optional(image.prompt) : std::nullopt, image.height, image.width);
  } catch (const UsageError& error) {
    throw DataError("image '{}', its prompt: {}", image.name, error.what());
  }
  if (prior.windows) prior.conditioning = without_sizes(prior.conditioning);
  return prior;
}

ImageProblem RestoreJob::prepare(std::int64_t row) const {
  const ImageEntry& image = images()[static_cast<std::size_t>(row)];
  // Of one without a size, reading it says what is wrong.
  if (image.height > 0 && image.width > 0) require_canvas(image);
  return problems_->read(row, prior_->geometry.image_channels);
}

}  // namespace dwgf
