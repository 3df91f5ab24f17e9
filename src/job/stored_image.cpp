#include "job/stored_image.hpp"

#include <algorithm>
#include <functional>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "input/stored_job.hpp"
#include "job/build.hpp"
#include "job/operator_files.hpp"
#include "job/posterior_products.hpp"
#include "job/tensors.hpp"
#include "job/unknowns/job_unknowns.hpp"
#include "operators/operator_arrays.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

/// Beyond this size the dense linear estimate is not worth its memory.
constexpr std::int64_t kLargestLinearMmse = 4096;

std::optional<GaussianImages> statistics_of(const JobInput& job) {
  try {
    return image_statistics(job.prior.path);
  } catch (const NotFoundError&) {
    return std::nullopt;  // the prior has moved since: its statistics are not to be had
  }
}

[[noreturn]] void refuse(const ResultsFile& file, const std::string& what) {
  throw DataError("{}: {}; it is damaged or was made by another program", file.path(), what);
}

/// That it has the datasets which every results file has, and no image that is larger than them (one that
/// could not be read has no size).
void require_images(const ResultsFile& file) {
  for (const char* name :
       {schema::kPosteriorMean.path, schema::kPosteriorStd.path, schema::kMeasurement.path})
    if (!file.layout().find(name)) refuse(file, formatted("has no {}", name));
  const std::vector<std::int64_t>& largest = file.layout().find(schema::kPosteriorMean.path)->row_shape;
  if (largest.size() != 3)
    refuse(file, formatted("{} has no images [channels, height, width]", schema::kPosteriorMean.path));
  for (const ImageEntry& image : file.layout().images) {
    if (image.height <= largest[1] && image.width <= largest[2]) continue;
    refuse(file, formatted("image {} is said to be {} x {}, where the largest is {} x {}", image.id,
                           image.height, image.width, largest[1], largest[2]));
  }
}

}  // namespace

StoredImages::StoredImages(const std::string& path)
    : file_(ResultsFile::open_for_reading(path)),
      job_(stored_job(file_.path(), file_.layout().attributes)),
      statistics_(statistics_of(input())) {
  require_images(file_);
  (void)with_module_hashes(input().problem.forward);  // refuses one that has changed
}

StoredImages::~StoredImages() = default;

std::shared_ptr<const ForwardOperator> StoredImages::forward_for(std::int64_t row) const {
  const ImageEntry& image = file_.layout().images[static_cast<std::size_t>(row)];
  if (!one_operator()) return build_forward(row);
  auto& known = forwards_[{image.height, image.width}];
  if (!known) known = build_forward(row);
  return known;
}

OperatorContext StoredImages::operator_context(std::int64_t row) const {
  const ImageEntry& image = file_.layout().images[static_cast<std::size_t>(row)];
  const std::int64_t channels = file_.layout().find(schema::kPosteriorMean.path)->row_shape[0];
  OperatorContext context{{channels, image.height, image.width}, input().method.options.seed, image.id};
  context.load_array = [this, row](const std::string& kind, const std::string& reference) {
    const std::string name = array_name(kind, reference);
    if (const DatasetLayout* own = file_.layout().find(schema::kProblemArray.named(name)))
      return as_tensor(FloatArray{own->row_shape, file_.read_floats(own->path, row)});
    if (!file_.layout().constants.contains(name)) {
      throw DataError(
          "{} does not carry the operator's {} ({}); it is damaged or was made by another version",
          file_.path(), kind, schema::kOperatorArray.named(name));
    }
    return as_tensor(file_.read_constant(name));
  };
  return context;
}

std::shared_ptr<const ForwardOperator> StoredImages::build_forward(std::int64_t row) const {
  const std::string& spec = input().problem.forward;
  const std::string carried = carried_spec(spec, /*drawn=*/false);
  try {
    if (!has_open_blur(spec)) return make_operator(carried, operator_context(row));
    const OpenBlur open = open_blur(carried, operator_context(row));
    return open.with(open.kernel(estimate(open.name, row)));
  } catch (const UsageError& error) {
    refuse(file_, formatted("its operator '{}' is none ({})", spec, error.what()));
  }
}

bool StoredImages::one_operator() const {
  const std::vector<DatasetLayout>& datasets = file_.layout().datasets;
  return !depends_on_image(input().problem.forward) && !has_open_blur(input().problem.forward) &&
         std::none_of(datasets.begin(), datasets.end(), [](const DatasetLayout& dataset) {
           return schema::kProblemArray.name_in(dataset.path).has_value();
         });
}

std::vector<double> StoredImages::estimate(const std::string& name, std::int64_t row) const {
  const std::string path = schema::kEstimated.named(name);
  if (!file_.layout().find(path)) refuse(file_, formatted("has no {}", path));
  const std::vector<float> values = file_.read_floats(path, row);
  return {values.begin(), values.end()};
}

double StoredImages::sigma(std::int64_t row) const {
  if (const std::optional<double> stored = scalar(schema::kSigma.path, row)) return *stored;
  if (input().problem.has_own_sigmas()) {
    refuse(file_, formatted("each image has its own problem.sigma, but they ({}) are not there",
                            schema::kSigma.path));
  }
  return input().problem.given_sigma();
}

std::string StoredImages::baseline_name() const {
  for (std::int64_t row = 0; row < count(); ++row) {
    try {
      return forward_for(row)->trivial_inverse_name();
    } catch (const Error&) {
      continue;
    }
  }
  return {};
}

std::vector<double> StoredImages::quantiles() const {
  std::vector<double> probabilities;
  for (const DatasetLayout& dataset : file_.layout().datasets) {
    if (const auto p = probability_of(dataset.path)) probabilities.push_back(*p);
  }
  std::sort(probabilities.begin(), probabilities.end());
  return probabilities;
}

std::map<std::string, bool> StoredImages::carried_arrays() const {
  std::map<std::string, bool> names;
  for (const auto& [name, shape] : file_.layout().constants) names[name] = false;
  for (const DatasetLayout& dataset : file_.layout().datasets) {
    const auto name = schema::kProblemArray.name_in(dataset.path);
    if (name && dataset.path != schema::kSigma.path) names[*name] = true;
  }
  return names;
}

ImageProblem StoredImages::problem(std::int64_t row) const {
  const ImageEntry& entry = file_.layout().images[static_cast<std::size_t>(row)];
  if (file_.state(row) != ImageState::committed)
    throw DataError("image '{}' is not committed in {}, so that there is nothing to do over again",
                    entry.name, file_.path());
  ImageProblem problem;
  problem.forward = forward_for(row);
  if (const std::string& spec = input().problem.forward; has_open_blur(spec)) {
    problem.open = std::make_shared<const OpenBlur>(
        open_blur(carried_spec(spec, /*drawn=*/false), operator_context(row)));
    problem.forward = problem.open->with(problem.open->kernel(problem.open->start()));
  }
  problem.shape = {file_.layout().find(schema::kPosteriorMean.path)->row_shape[0], entry.height, entry.width};
  problem.y = array(schema::kMeasurement.path, row, problem.forward->measurement_shape());
  problem.truth =
      array(schema::kTruth.path, row, {problem.shape.channels, problem.shape.height, problem.shape.width});
  problem.sigma = input().problem.finds_sigma() ? first_noise_level(problem.y, *problem.forward) : sigma(row);
  for (const auto& [name, per_image] : carried_arrays()) {
    problem.arrays[name] =
        per_image ? array(schema::kProblemArray.named(name), row) : as_tensor(file_.read_constant(name));
  }
  return problem;
}

at::Tensor StoredImages::array(const std::string& dataset, std::int64_t row) const {
  const DatasetLayout* layout = file_.layout().find(dataset);
  if (!layout) return {};
  const std::vector<float> values = file_.read_floats(dataset, row);
  return at::tensor(at::ArrayRef<float>(values)).reshape(layout->row_shape);
}

at::Tensor StoredImages::array(const std::string& dataset, std::int64_t row, at::IntArrayRef shape) const {
  const DatasetLayout* layout = file_.layout().find(dataset);
  if (!layout) return {};
  const at::IntArrayRef stored = layout->row_shape;
  const bool fits = stored.size() >= shape.size() &&
                    std::equal(shape.begin(), shape.end(),
                               stored.end() - static_cast<std::ptrdiff_t>(shape.size()), std::less_equal<>());
  if (!fits) refuse(file_, formatted("{} has rows of {}, where {} is needed", dataset, stored, shape));
  return cut(array(dataset, row), shape);  // [..., shape]
}

std::optional<double> StoredImages::scalar(const std::string& dataset, std::int64_t row) const {
  if (!file_.layout().find(dataset)) return std::nullopt;
  return file_.read_floats(dataset, row).front();
}

StoredImage StoredImages::read(std::int64_t row, Estimates estimates) {
  const ImageEntry& entry = file_.layout().images[static_cast<std::size_t>(row)];
  StoredImage image;
  image.id = entry.id;
  image.name = entry.name;
  const std::int64_t channels = file_.layout().find(schema::kPosteriorMean.path)->row_shape[0];
  const std::int64_t size[3] = {channels, entry.height, entry.width};
  image.mean = array(schema::kPosteriorMean.path, row, size);
  image.std = array(schema::kPosteriorStd.path, row, size);
  image.truth = array(schema::kTruth.path, row, size);
  image.particles = array(schema::kParticles.path, row, size);

  for (const DatasetLayout& dataset : file_.layout().datasets) {
    if (const auto p = probability_of(dataset.path)) image.quantiles[*p] = array(dataset.path, row, size);
  }
  image.crps = scalar(schema::kCrps.path, row);
  image.diversity = scalar(schema::kDiversity.path, row);
  image.chi_squared = scalar(schema::kChiSquared.path, row);
  image.ksd = scalar(schema::kKsd.path, row);
  image.ksd_p = scalar(schema::kKsdP.path, row);
  image.autoencoder = scalar(schema::kAutoencoder.path, row);
  if (file_.layout().find(schema::kRanks.path)) {
    const std::vector<float> ranks = file_.read_floats(schema::kRanks.path, row);
    image.ranks.assign(ranks.begin(), ranks.end());
  }
  if (truth_) {
    if (!image.truth.defined()) image.autoencoder.reset();  // it was fed the baseline
    image.truth = truth_(row);
    image.crps.reset();
    image.ranks.clear();
  }
  image.seconds = file_.seconds(row);

  const auto forward = forward_for(row);
  image.forward = forward;
  image.sigma = sigma(row);
  image.gaussian_noise = input().problem.noise == "gaussian";
  image.measurement = array(schema::kMeasurement.path, row, forward->measurement_shape());
  if (const at::Tensor baseline = forward->trivial_inverse(image.measurement.unsqueeze(0), sigma(row));
      baseline.defined()) {
    image.baseline = baseline.squeeze(0);
  }
  if (estimates == Estimates::all && statistics_ && forward->is_linear() &&
      image.mean.numel() <= kLargestLinearMmse && statistics_->mean.sizes() == image.mean.sizes()) {
    const std::string& spec = input().problem.forward;
    const std::string key = one_operator() ? spec : formatted("{} {}", spec, entry.id);
    if (!linear_mmse_ || key != linear_mmse_key_) {
      linear_mmse_.emplace(*statistics_, forward, sigma(row));
      linear_mmse_key_ = key;
    }
    image.linear_mmse = linear_mmse_->estimate(image.measurement).to(at::kFloat);
    image.linear_mmse_std = linear_mmse_->deviation().to(at::kFloat);
  }
  return image;
}

}  // namespace dwgf
