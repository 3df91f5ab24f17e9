#include "job/problem_source.hpp"

#include <algorithm>
#include <charconv>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "job/build.hpp"
#include "job/operator_files.hpp"
#include "operators/baselines/noise_level.hpp"
#include "store/schema.hpp"

namespace dwgf {
namespace {

/// The shortest text that reads back as the same number.
std::string text_of(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

/// What a file says stands, unless the user says something else.
void take(Settings& settings, const std::string& key, const std::string& value, const std::string& path,
          bool may_differ) {
  if (settings.given(key)) {
    if (may_differ || settings.text(key) == value) return;
    throw UsageError(concat(key, " = '", settings.text(key), "', but ", path, " was measured with '", value,
                            "'; leave the option out"));
  }
  settings.set(key, value, path);
}

}  // namespace

ProblemSource::ProblemSource(Settings& settings, Communicator& ranks) {
  const bool rerun = settings.command().name == "restore" && !settings.text("rerun").empty();
  const std::string& data = settings.text(rerun ? "rerun" : "input.data");
  if (rerun) {
    results_.emplace(data);
  } else if (is_measurements_file(data)) {
    measurements_.emplace(data);
    take_from_measurements(settings);
  } else {
    source_ = open_images(data, ranks);
  }
  spec_ = settings.text("problem.operator");
  noise_ = settings.text("problem.noise");
  estimate_ = settings.text("problem.sigma") == "estimate";
  sigma_ = estimate_ ? 0 : settings.real("problem.sigma");
  seed_ = settings.unsigned_integer("flow.seed");
  if (estimate_ && source_) {
    throw UsageError(
        "problem.sigma: 'estimate' is for measurements, and these are clean images, which are measured with "
        "the sigma "
        "given; set a number, or give a file made by `dwgf degrade`");
  }

  const auto& all = results_        ? results_->file().layout().images
                    : measurements_ ? measurements_->entries()
                                    : source_->entries();
  const auto total = static_cast<std::int64_t>(all.size());
  const char* const first_key = rerun ? "image" : "input.first";
  first_ = settings.integer(first_key);
  const std::int64_t count = rerun ? settings.given("image") : settings.integer("input.count");
  if (first_ >= total) {
    throw UsageError(
        concat(first_key, " = ", first_, " lies behind the last image: '", data, "' has ", total));
  }
  const std::int64_t last = count == 0 ? total : std::min(total, first_ + count);
  images_.assign(all.begin() + first_, all.begin() + last);
  const std::vector<CarriedArray> carried = arrays();
  shared_ = std::none_of(carried.begin(), carried.end(), [](const auto& array) { return array.per_image; });
}

void ProblemSource::take_from_measurements(Settings& settings) {
  const std::string& path = measurements_->path();
  if (const auto& spec = measurements_->operator_spec()) {
    if (spec->find("random") != std::string::npos && depends_on_image(*spec))
      throw DataError(
          concat(path, ": its operator '", *spec,
                 "' draws a mask; a measurements file carries its masks as /operator/mask and `mask:@`"));
    take(settings, "problem.operator", *spec, path, /*may_differ=*/false);
  } else if (!settings.given("problem.operator")) {
    throw UsageError(concat(
        path, " does not say by which operator it was measured (attribute operator); set problem.operator"));
  }
  if (measurements_->noise()) take(settings, "problem.noise", *measurements_->noise(), path, false);
  if (measurements_->sigma()) {
    take(settings, "problem.sigma", text_of(*measurements_->sigma()), path, /*may_differ=*/true);
  } else if (!settings.given("problem.sigma")) {
    throw UsageError(concat(path,
                            " does not say how much noise it has (attribute sigma); set problem.sigma, to "
                            "'estimate' for an estimate from each image"));
  }
}

bool ProblemSource::has_truth() const {
  if (results_) return results_->file().layout().find(schema::kTruth.path) != nullptr;
  return !measurements_ || measurements_->has_truth();
}

std::optional<std::int64_t> ProblemSource::channels() const {
  if (results_) return results_->file().layout().find(schema::kPosteriorMean.path)->row_shape[0];
  return measurements_ ? std::optional(measurements_->channels()) : std::nullopt;
}

std::vector<ProblemSource::CarriedArray> ProblemSource::arrays() const {
  std::vector<CarriedArray> carried;
  if (results_) {
    for (const auto& [name, per_image] : results_->carried_arrays())
      carried.push_back({{"", results_->file().path(), name}, per_image});
    return carried;
  }
  for (ArrayUse& use : array_uses(spec_)) {
    bool per_image = use.reference.empty();
    if (use.reference.starts_with("@") && measurements_) {
      const std::string name = array_name(use.kind, use.reference);
      per_image = measurements_->has_array(name) && measurements_->is_per_image(use.kind, name);
    }
    carried.push_back({std::move(use), per_image});
  }
  return carried;
}

at::Tensor ProblemSource::load(const std::string& kind, const std::string& reference,
                               std::int64_t row) const {
  if (!reference.starts_with("@")) return load_operator_file(kind, reference);
  const std::string name = array_name(kind, reference);
  if (!measurements_) {
    throw UsageError(concat("problem.operator: '", reference, "' names the ", kind,
                            " of a measurements file, and input.data is none; name a file"));
  }
  return as_tensor(measurements_->array(kind, name, row));
}

ProblemSource::Built ProblemSource::build(std::int64_t k, std::int64_t channels) const {
  const ImageEntry& image = images_[static_cast<std::size_t>(k)];
  const std::vector<std::int64_t> key{channels, image.height, image.width};
  if (const auto known = built_.find(key); shared_ && known != built_.end()) return known->second;
  Built built;
  const std::vector<ArrayUse> uses = array_uses(spec_);
  OperatorContext context{{channels, image.height, image.width}, seed_, image.id};
  context.load_array = [&](const std::string& kind, const std::string& reference) {
    return load(kind, reference, first_ + k);
  };
  context.on_array = [&](const std::string&, const at::Tensor& array) {
    built.arrays[uses.at(built.arrays.size()).name] = array;
  };
  built.forward = make_operator(spec_, context);
  make_noise_model(noise_, estimate_ ? 1 : sigma_, *built.forward);  // refuses what does not go together
  if (shared_) built_.emplace(key, built);
  return built;
}

std::shared_ptr<const ForwardOperator> ProblemSource::forward(std::int64_t k, std::int64_t channels) const {
  return results_ ? results_->forward_for(first_ + k) : build(k, channels).forward;
}

ImageProblem ProblemSource::read(std::int64_t k, std::int64_t channels) const {
  if (results_) return results_->problem(first_ + k);
  const ImageEntry& image = images_[static_cast<std::size_t>(k)];
  ImageProblem problem;
  ImagePixels pixels;
  // Before the operator: where the size of an image is not known, this says why.
  if (source_) pixels = source_->read(first_ + k, channels);
  Built built = build(k, channels);
  problem.shape = {channels, image.height, image.width};
  problem.forward = built.forward;
  problem.arrays = std::move(built.arrays);
  problem.sigma = sigma_;
  if (source_) {
    problem.truth = as_tensor(pixels);
    problem.y = measure(*problem.forward, *make_noise_model(noise_, sigma_, *problem.forward), problem.truth,
                        seed_, image.id);
    return problem;
  }

  const FloatArray measured = measurements_->measurement(first_ + k);
  const std::vector<std::int64_t> shape = problem.forward->measurement_shape();
  const bool fits = measured.shape.size() == shape.size() &&
                    std::equal(shape.begin(), shape.end(), measured.shape.begin(),
                               [](std::int64_t own, std::int64_t stored) { return own <= stored; });
  if (!fits) {
    throw DataError(concat("image '", image.name, "': its measurement is ", at::IntArrayRef(measured.shape),
                           ", but '", spec_, "' measures ", at::IntArrayRef(shape), " of an image of ",
                           image.height, " x ", image.width,
                           "; is it the operator that it was measured with?"));
  }
  problem.y = cut(at::tensor(at::ArrayRef<float>(measured.values)).reshape(measured.shape), shape);
  if (const at::Tensor observed = problem.forward->observed(); observed.defined())
    problem.y = at::where(observed.ne(0), problem.y, at::zeros({}, problem.y.options()));
  if (!at::isfinite(problem.y).all().item<bool>()) {
    throw DataError(concat("image '", image.name,
                           "': its measurement holds a value that is not finite; an image that "
                           "could not be measured has NaN there"));
  }
  if (estimate_) problem.sigma = estimate_noise_level(problem.y, *problem.forward);
  if (measurements_->has_truth()) {
    const FloatArray truth = measurements_->truth(first_ + k);
    problem.truth = cut(at::tensor(at::ArrayRef<float>(truth.values)).reshape(truth.shape),
                        {channels, image.height, image.width});
    if (!at::isfinite(problem.truth).all().item<bool>())
      throw DataError(concat("image '", image.name, "': its truth holds a value that is not finite"));
  }
  return problem;
}

}  // namespace dwgf
