#include "job/problems.hpp"

#include <algorithm>
#include <string_view>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "data/image_prompt.hpp"
#include "input/derived_jobs.hpp"
#include "job/measured_units.hpp"
#include "job/operator_files.hpp"
#include "job/picture_choices.hpp"
#include "job/tensors.hpp"
#include "job/unknowns/job_unknowns.hpp"
#include "operators/baselines/noise_level.hpp"
#include "operators/measured_pictures.hpp"
#include "store/schema.hpp"

namespace dwgf {
namespace {

/// A module is what it was when the job began.
void keep_modules(Settings& job) {
  const std::string& spec = job.as<JobInput>().problem.forward;
  if (const std::string kept = with_module_hashes(spec); kept != spec)
    job.set("problem.operator", kept, "the hash of the operator's module");
}

MeasurementsFile open_measurements(Settings& job) {
  MeasurementsFile file(job.as<JobInput>().images.data);
  const auto& spec = file.operator_spec();
  if (spec && spec->find("random") != std::string::npos && depends_on_image(*spec)) {
    throw DataError(
        "{}: its operator '{}' draws a mask; a measurements file carries its masks as /operator/mask and "
        "`mask:@`",
        file.path(), *spec);
  }
  take_measured(job, {file.path(), spec, file.noise(), file.sigma(), !file.sigmas().empty()});
  keep_modules(job);
  return file;
}

std::vector<std::int64_t> without_ones(std::vector<std::int64_t> shape) {
  std::erase(shape, 1);
  return shape;
}

/// "1, 16, 16]"
std::string text_of_axes(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += formatted("{}{}", text.empty() ? "" : ", ", extent);
  return text + "]";
}

/// What is measured of images on [-1, 1] where `y` was measured of the same on another range.
at::Tensor on_unit_range(const at::Tensor& y, const ValueRange& range, const ForwardOperator& forward,
                         const ImageShape& shape, const std::string& spec) {
  if (!follows_scale(forward)) {
    throw UsageError(
        "input.range: what '{}' measures is neither linear nor a picture, so that a range of y says nothing "
        "of the "
        "image's; measure images on [-1, 1], and leave input.range out",
        spec);
  }
  const double width = range.high - range.low;
  return measured_on_scale(y, 2 / width, -(range.high + range.low) / width, forward, shape);
}

/// A spec's `@` where there is no measurements file to hold the array.
at::Tensor no_array(const std::string& kind, const std::string& reference, std::int64_t) {
  throw UsageError(
      "problem.operator: '{}' names the {} of a measurements file, and input.data is none; name a file",
      reference, kind);
}

bool never(const ArrayUse&) {
  return false;
}

/// Rows of the slice that warnings look at, evenly spaced, and up to about so many pixels.
template <class Look>
void look_at_some(const std::vector<ImageEntry>& images, const Look& look) {
  constexpr std::size_t most_images = 64;
  constexpr std::int64_t most_pixels = std::int64_t{1} << 23;
  const std::size_t count = std::min(images.size(), most_images);
  std::int64_t pixels = 0;
  for (std::size_t n = 0; n < count && pixels < most_pixels; ++n) {
    const std::size_t k = n * images.size() / count;
    pixels += std::int64_t{images[k].height} * images[k].width;
    try {
      look(static_cast<std::int64_t>(k));
    } catch (const Error&) {
      // One that cannot be read fails, and says why, when its turn comes.
    }
  }
}

/// Of the pictures of a source: its own notes, those of some pictures, and whether numbers without a scale
/// all lie on [0, 1].
std::vector<std::string> source_warnings(const ImageSource& source, const ImagesInput& asked,
                                         const std::vector<ImageEntry>& images, std::int64_t first) {
  constexpr std::size_t most_notes = 8;
  std::vector<std::string> warnings = source.notes(), notes;
  std::string positive;  // the first such image
  bool negative = false;
  look_at_some(images, [&](std::int64_t k) {
    const ImagePixels pixels = source.read_as_is(first + k);
    notes.insert(notes.end(), pixels.notes.begin(), pixels.notes.end());
    if (!pixels.floating_point) return;
    negative = negative || std::ranges::any_of(pixels.values, [](float value) { return value < 0; });
    if (positive.empty()) positive = images[static_cast<std::size_t>(k)].name;
  });
  const std::size_t told = std::min(notes.size(), most_notes);
  warnings.insert(warnings.end(), notes.begin(), notes.begin() + static_cast<std::ptrdiff_t>(told));
  if (told < notes.size())
    warnings.push_back(
        formatted("{} more such notes of the images that were looked at", notes.size() - told));
  if (!positive.empty() && !negative && !asked.range) {
    warnings.push_back(formatted(
        "input.data: no floating-point value that was looked at is below 0 ('{}' is one such image), "
        "where -1 is black, so that they are grey to white; input.range = 0,1 makes 0 black, input.range "
        "= -1,1 says that it is meant",
        positive));
  }
  return warnings;
}

/// The estimate from y, or where the level is unknown, what its estimate begins with.
double noise_level(const ProblemInput& asked, const at::Tensor& y, const ForwardOperator& forward) {
  return asked.finds_sigma() ? first_noise_level(y, forward) : estimate_noise_level(y, forward);
}

}  // namespace

std::optional<ValueUnits> data_units(const ImagesInput& asked, const ImageSource& source) {
  const std::optional<ValueRange> range = asked.range ? asked.range : source.range();
  return range ? units_of(*range) : std::nullopt;
}

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
  if (has_open_blur(problem_.forward)) {
    context.on_array = {};
    built.open = std::make_shared<const OpenBlur>(open_blur(problem_.forward, context));
  }
  // Refuses what does not go together.
  make_noise_model(problem_.noise, problem_.has_own_sigmas() ? 1 : problem_.given_sigma(), *built.forward);
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
  problem.open = std::move(built.open);
  return problem;
}

CleanImages::CleanImages(const ImagesInput& images, const ProblemInput& problem, std::uint64_t seed,
                         Communicator& ranks)
    : asked_(images),
      source_(open_images(images.data, ranks, choices_of(images))),
      operators_(problem, seed, no_array, never) {
  if (problem.has_own_sigmas()) {
    throw UsageError(
        "problem.sigma: '{}' is for measurements, and these are clean images, which are measured with "
        "the sigma given; set a number, or give a file made by `dwgf degrade`, or, if they are measured "
        "already, "
        "set input.kind = measured",
        problem.finds_sigma()       ? "unknown"
        : problem.estimates_sigma() ? "estimate"
                                    : "file");
  }
  if (has_open_blur(problem.forward)) {
    throw UsageError(
        "problem.operator: '{}' leaves a blur open, and these are clean images, which are measured with the "
        "operator given; measure them with `dwgf degrade`, or, if they are measured already, set input.kind "
        "= "
        "measured",
        problem.forward);
  }
  take_slice(with_prompts_of(images.data, source_->entries(), schema::kImagePrompt.path), "input.first",
             images.first, images.count, images.data);
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

std::vector<std::string> CleanImages::warnings() const {
  return source_warnings(*source_, asked_, images(), row(0));
}

MeasuredPictures::MeasuredPictures(const Settings& job, Communicator& ranks)
    : asked_(job.as<JobInput>().images),
      source_(open_images(asked_.data, ranks, choices_of(asked_))),
      operators_(job.as<JobInput>().problem, job.as<JobInput>().method.options.seed, no_array, never) {
  const ProblemInput& problem = job.as<JobInput>().problem;
  for (const char* key : {"problem.operator", "problem.sigma"}) {
    if (job.given(key)) continue;
    throw UsageError("input.kind = measured: pictures do not say how they were measured; set {}{}", key,
                     std::string_view(key).ends_with("sigma") ? ", to a number, to 'estimate' or to 'unknown'"
                                                              : ", such as blur:9,1.5");
  }
  if (problem.lists_sigma())
    throw UsageError("problem.sigma = file: pictures list no levels; set a number, or estimate");
  if (depends_on_image(problem.forward)) {
    throw UsageError(
        "problem.operator: '{}' draws a mask, and pictures that are measured have theirs; name it "
        "with mask:FILE",
        problem.forward);
  }
  const auto factor = static_cast<std::uint32_t>(picture_factor(problem.forward));
  std::vector<ImageEntry> all = with_prompts_of(asked_.data, source_->entries(), schema::kImagePrompt.path);
  for (ImageEntry& image : all) {
    image.height *= factor;
    image.width *= factor;
  }
  take_slice(all, "input.first", asked_.first, asked_.count, asked_.data);
}

std::vector<std::string> MeasuredPictures::warnings() const {
  return source_warnings(*source_, asked_, images(), row(0));
}

std::shared_ptr<const ForwardOperator> MeasuredPictures::forward(std::int64_t k,
                                                                 std::int64_t channels) const {
  return operators_.build(image(k), row(k), channels).forward;
}

ImageProblem MeasuredPictures::read(std::int64_t k, std::int64_t channels) const {
  const ProblemInput& asked = operators_.problem();
  // Before the operator: where the size of a picture is not known, this says why.
  ImagePixels picture = source_->read(row(k), channels);
  ImageProblem problem = operators_.unmeasured(image(k), row(k), channels);
  const std::vector<std::int64_t> shape = problem.forward->measurement_shape();
  if (shape.size() == 3 && shape[0] != channels) picture = source_->read(row(k), shape[0]);
  at::Tensor y = as_tensor(picture);
  if (y.sizes() != at::IntArrayRef(shape)) {
    throw DataError("image '{}' is {}, but '{}' measures {} of an image of {} x {}", image(k).name, y.sizes(),
                    asked.forward, at::IntArrayRef(shape), image(k).height, image(k).width);
  }
  if (const at::Tensor observed = problem.forward->observed(); observed.defined())
    y = at::where(observed.ne(0), y, at::zeros({}, y.options()));
  problem.y = y;
  problem.sigma = asked.has_own_sigmas() ? noise_level(asked, y, *problem.forward) : asked.given_sigma();
  return problem;
}

MeasuredImages::MeasuredImages(Settings& job)
    : file_(open_measurements(job)),
      range_(job.as<JobInput>().images.range),
      file_sigma_(file_.sigma() == job.as<JobInput>().problem.given_sigma()),
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
  problem.y = measurement(k, *problem.forward, problem.shape);
  problem.sigma = asked.lists_sigma()      ? file_.sigmas()[static_cast<std::size_t>(row(k))]
                  : asked.has_own_sigmas() ? noise_level(asked, problem.y, *problem.forward)
                                           : asked.given_sigma();
  if (file_.has_truth()) problem.truth = truth(k, problem.shape);
  return problem;
}

at::Tensor MeasuredImages::measurement(std::int64_t k, const ForwardOperator& forward,
                                       const ImageShape& shape) const {
  const FloatArray measured = file_.measurement(row(k));
  const std::vector<std::int64_t> wanted = forward.measurement_shape();
  const bool fits = measured.shape.size() == wanted.size() &&
                    std::equal(wanted.begin(), wanted.end(), measured.shape.begin(), std::less_equal<>());
  if (!fits) {
    throw DataError(
        "image '{}': its measurement is {}, but '{}' measures {} of an image of {} x {}; {}", image(k).name,
        at::IntArrayRef(measured.shape), operators_.problem().forward, at::IntArrayRef(wanted),
        image(k).height, image(k).width,
        without_ones(measured.shape) == without_ones(wanted)
            ? formatted("an axis is missing or too many: reshape y to [n, {}", text_of_axes(wanted))
            : "is it the operator that it was measured with?");
  }
  at::Tensor y = cut(at::tensor(at::ArrayRef<float>(measured.values)).reshape(measured.shape), wanted);
  if (range_) y = on_unit_range(y, *range_, forward, shape, operators_.problem().forward);
  if (const at::Tensor observed = forward.observed(); observed.defined())
    y = at::where(observed.ne(0), y, at::zeros({}, y.options()));
  if (!at::isfinite(y).all().item<bool>()) {
    throw DataError(
        "image '{}': its measurement holds a value that is not finite (NaN or infinite); where single values "
        "are "
        "missing, mark them with a mask (mask:@) and write 0; an image that could not be measured at all has "
        "NaN "
        "there, and is left out",
        image(k).name);
  }
  return y;
}

std::optional<ValueUnits> MeasuredImages::units() const {
  if (file_.units()) return file_.units();
  return range_ ? units_of(*range_) : std::nullopt;
}

/// Whether y of pictures lies on [0, 1] but for noise, which has to be small for that to say anything.
bool MeasuredImages::looks_positive() const {
  constexpr double most_noise = 0.1, deviations = 5;
  const double sigma = operators_.problem().given_sigma(), margin = deviations * sigma;
  if (sigma > most_noise) return false;
  bool any = false, positive = true;
  look_at_some(images(), [&](std::int64_t k) {
    if (!positive || !forward(k, file_.channels())->measures_image()) return;
    for (const float value : file_.measurement(row(k)).values) {
      any = any || value > margin;
      positive = positive && !(value < -margin || value > 1 + margin);  // NaN beside smaller images
    }
  });
  return any && positive;
}

std::vector<std::string> MeasuredImages::warnings() const {
  std::vector<std::string> warnings;
  if (file_.has_levels() && !range_) {
    warnings.push_back(
        formatted("{}: y is uint8, and is taken for the numbers 0 ... 255, not for values on [-1, 1]; "
                  "input.range = 0,255 makes 0 black and 255 white",
                  file_.path()));
  }
  if (!range_ && !file_.has_levels() && looks_positive()) {
    warnings.push_back(formatted(
        "{}: all of y that was looked at lies on [0, 1], where -1 is black; input.range = 0,1 makes 0 "
        "black, input.range = -1,1 says that it is meant",
        file_.path()));
  }
  if (range_ && file_sigma_ && *range_ != ValueRange()) {
    warnings.push_back(formatted(
        "problem.sigma = {}, of the file, is taken on [-1, 1], where it is {} of y's own range; set "
        "problem.sigma if it is meant otherwise",
        *file_.sigma(), *file_.sigma() * (range_->high - range_->low) / 2));
  }
  return warnings;
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

std::optional<ValueUnits> StoredProblems::units() const {
  return units_in(results_.file().layout().attributes);
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
  keep_modules(job);
  const JobInput& input = job.as<JobInput>();
  if (!input.rerun.empty()) return std::make_unique<StoredProblems>(input.rerun, input.image);
  if (is_measurements_file(input.images.data)) return std::make_unique<MeasuredImages>(job);
  if (input.images.kind == ImagesKind::measured) return std::make_unique<MeasuredPictures>(job, ranks);
  return std::make_unique<CleanImages>(input.images, input.problem, input.method.options.seed, ranks);
}

}  // namespace dwgf
