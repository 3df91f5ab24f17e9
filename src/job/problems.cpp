#include "job/problems.hpp"

#include <algorithm>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "input/derived_jobs.hpp"
#include "job/operator_files.hpp"
#include "job/tensors.hpp"
#include "operators/baselines/noise_level.hpp"
#include "store/schema.hpp"

namespace dwgf {
namespace {

MeasurementsFile open_measurements(Settings& job) {
  MeasurementsFile file(job.as<JobInput>().images.data);
  const auto& spec = file.operator_spec();
  if (spec && spec->find("random") != std::string::npos && depends_on_image(*spec)) {
    throw DataError(
        "{}: its operator '{}' draws a mask; a measurements file carries its masks as /operator/mask and "
        "`mask:@`",
        file.path(), *spec);
  }
  take_measured(job, {file.path(), spec, file.noise(), file.sigma()});
  return file;
}

}  // namespace

void Problems::take_slice(const std::vector<ImageEntry>& all, const char* key, std::int64_t first,
                          std::int64_t count, const std::string& data) {
  const auto total = static_cast<std::int64_t>(all.size());
  if (first >= total)
    throw UsageError("{} = {} lies behind the last image: '{}' has {}", key, first, data, total);
  const std::int64_t last = count == 0 ? total : std::min(total, first + count);
  images_.assign(all.begin() + first, all.begin() + last);
  first_ = first;
}

SpecifiedOperators::SpecifiedOperators(ProblemInput problem, std::uint64_t seed, Load load,
                                       const PerImage& per_image)
    : problem_(std::move(problem)), seed_(seed), load_(std::move(load)) {
  for (ArrayUse& use : array_uses(problem_.forward)) {
    const bool own = use.reference.empty() || (use.reference.starts_with("@") && per_image(use));
    shared_ = shared_ && !own;
    arrays_.push_back({std::move(use), own});
  }
}

SpecifiedOperators::Built SpecifiedOperators::build(const ImageEntry& image, std::int64_t row,
                                                    std::int64_t channels) const {
  const std::vector<std::int64_t> key{channels, image.height, image.width};
  if (const auto known = built_.find(key); shared_ && known != built_.end()) return known->second;
  Built built;
  OperatorContext context{{channels, image.height, image.width}, seed_, image.id};
  context.load_array = [&](const std::string& kind, const std::string& reference) {
    return reference.starts_with("@") ? load_(kind, reference, row) : load_operator_file(kind, reference);
  };
  context.on_array = [&](const std::string&, const at::Tensor& array) {
    built.arrays[arrays_.at(built.arrays.size()).use.name] = array;
  };
  built.forward = make_operator(problem_.forward, context);
  // Refuses what does not go together.
  make_noise_model(problem_.noise, problem_.estimates_sigma() ? 1 : problem_.given_sigma(), *built.forward);
  if (shared_) built_.emplace(key, built);
  return built;
}

ImageProblem SpecifiedOperators::unmeasured(const ImageEntry& image, std::int64_t row,
                                            std::int64_t channels) const {
  Built built = build(image, row, channels);
  ImageProblem problem;
  problem.shape = {channels, image.height, image.width};
  problem.forward = std::move(built.forward);
  problem.arrays = std::move(built.arrays);
  return problem;
}

CleanImages::CleanImages(const ImagesInput& images, const ProblemInput& problem, std::uint64_t seed,
                         Communicator& ranks)
    : source_(open_images(images.data, ranks)),
      operators_(
          problem, seed,
          [](const std::string& kind, const std::string& reference, std::int64_t) -> at::Tensor {
            throw UsageError(
                "problem.operator: '{}' names the {} of a measurements file, and input.data is none; name a "
                "file",
                reference, kind);
          },
          [](const ArrayUse&) { return false; }) {
  if (problem.estimates_sigma()) {
    throw UsageError(
        "problem.sigma: 'estimate' is for measurements, and these are clean images, which are measured with "
        "the sigma given; set a number, or give a file made by `dwgf degrade`");
  }
  take_slice(source_->entries(), "input.first", images.first, images.count, images.data);
}

std::shared_ptr<const ForwardOperator> CleanImages::forward(std::int64_t k, std::int64_t channels) const {
  return operators_.build(image(k), row(k), channels).forward;
}

ImageProblem CleanImages::read(std::int64_t k, std::int64_t channels) const {
  // Before the operator: where the size of an image is not known, this says why.
  const ImagePixels pixels = source_->read(row(k), channels);
  const ProblemInput& asked = operators_.problem();
  ImageProblem problem = operators_.unmeasured(image(k), row(k), channels);
  problem.sigma = asked.given_sigma();
  problem.truth = as_tensor(pixels);
  problem.y = measure(*problem.forward, *make_noise_model(asked.noise, problem.sigma, *problem.forward),
                      problem.truth, operators_.seed(), image(k).id);
  return problem;
}

MeasuredImages::MeasuredImages(Settings& job)
    : file_(open_measurements(job)),
      operators_(
          job.as<JobInput>().problem, job.as<JobInput>().method.options.seed,
          [this](const std::string& kind, const std::string& reference, std::int64_t row) {
            return as_tensor(file_.array(kind, array_name(kind, reference), row));
          },
          [this](const ArrayUse& use) {
            const std::string name = array_name(use.kind, use.reference);
            return file_.has_array(name) && file_.is_per_image(use.kind, name);
          }) {
  const ImagesInput& images = job.as<JobInput>().images;
  take_slice(file_.entries(), "input.first", images.first, images.count, images.data);
}

std::shared_ptr<const ForwardOperator> MeasuredImages::forward(std::int64_t k, std::int64_t channels) const {
  return operators_.build(image(k), row(k), channels).forward;
}

ImageProblem MeasuredImages::read(std::int64_t k, std::int64_t channels) const {
  const ProblemInput& asked = operators_.problem();
  ImageProblem problem = operators_.unmeasured(image(k), row(k), channels);
  problem.y = measurement(k, *problem.forward);
  problem.sigma =
      asked.estimates_sigma() ? estimate_noise_level(problem.y, *problem.forward) : asked.given_sigma();
  if (file_.has_truth()) problem.truth = truth(k, problem.shape);
  return problem;
}

at::Tensor MeasuredImages::measurement(std::int64_t k, const ForwardOperator& forward) const {
  const FloatArray measured = file_.measurement(row(k));
  const std::vector<std::int64_t> shape = forward.measurement_shape();
  const bool fits = measured.shape.size() == shape.size() &&
                    std::equal(shape.begin(), shape.end(), measured.shape.begin(), std::less_equal<>());
  if (!fits) {
    throw DataError(
        "image '{}': its measurement is {}, but '{}' measures {} of an image of {} x {}; is it the operator "
        "that it was measured with?",
        image(k).name, at::IntArrayRef(measured.shape), operators_.problem().forward, at::IntArrayRef(shape),
        image(k).height, image(k).width);
  }
  at::Tensor y = cut(at::tensor(at::ArrayRef<float>(measured.values)).reshape(measured.shape), shape);
  if (const at::Tensor observed = forward.observed(); observed.defined())
    y = at::where(observed.ne(0), y, at::zeros({}, y.options()));
  if (!at::isfinite(y).all().item<bool>()) {
    throw DataError(
        "image '{}': its measurement holds a value that is not finite; an image that could not be measured "
        "has NaN there",
        image(k).name);
  }
  return y;
}

at::Tensor MeasuredImages::truth(std::int64_t k, const ImageShape& shape) const {
  const FloatArray stored = file_.truth(row(k));
  const at::Tensor x = cut(at::tensor(at::ArrayRef<float>(stored.values)).reshape(stored.shape),
                           {shape.channels, shape.height, shape.width});
  if (!at::isfinite(x).all().item<bool>())
    throw DataError("image '{}': its truth holds a value that is not finite", image(k).name);
  return x;
}

StoredProblems::StoredProblems(const std::string& results, std::optional<std::int64_t> image)
    : results_(results) {
  take_slice(results_.file().layout().images, "image", image.value_or(0), image ? 1 : 0, results);
}

bool StoredProblems::has_truth() const {
  return results_.file().layout().find(schema::kTruth.path) != nullptr;
}

std::optional<std::int64_t> StoredProblems::channels() const {
  return results_.file().layout().find(schema::kPosteriorMean.path)->row_shape[0];
}

std::vector<CarriedArray> StoredProblems::arrays() const {
  std::vector<CarriedArray> carried;
  for (const auto& [name, per_image] : results_.carried_arrays())
    carried.push_back({{"", results_.file().path(), name}, per_image});
  return carried;
}

std::shared_ptr<const ForwardOperator> StoredProblems::forward(std::int64_t k, std::int64_t) const {
  return results_.forward_for(row(k));
}

ImageProblem StoredProblems::read(std::int64_t k, std::int64_t) const {
  return results_.problem(row(k));
}

std::unique_ptr<Problems> open_problems(Settings& job, Communicator& ranks) {
  const JobInput& input = job.as<JobInput>();
  if (!input.rerun.empty()) return std::make_unique<StoredProblems>(input.rerun, input.image);
  if (is_measurements_file(input.images.data)) return std::make_unique<MeasuredImages>(job);
  return std::make_unique<CleanImages>(input.images, input.problem, input.method.options.seed, ranks);
}

}  // namespace dwgf
