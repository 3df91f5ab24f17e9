#include "report/verdicts.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>

#include <ATen/ATen.h>

#include <dwgf/base/format.hpp>
#include <dwgf/metric/image_quality.hpp>

#include "report/evaluate.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

using Limits = VerdictLimits;

constexpr std::int64_t kQuickImages = 64, kQuickValues = std::int64_t{1} << 24;

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(value) >= 1000 ? "%.0f" : "%.3g", value);
  return text;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

MeanOverImages mean_of(const std::vector<double>& values) {
  MeanOverImages mean;
  for (const double value : values) mean.add(value);
  return mean;
}

// --- The rules, in the order of the table ---

/// Chi-squared over all observed entries, with what it may be.
struct Residual {
  double chi_squared = 0.0, explained = 0.0;
  double chance = 0.0;  ///< z sqrt(2 / M)
  bool known = false;
  double most() const { return Limits::kLargeResidual * (1 + chance) + explained; }
  double least() const { return std::max(0.0, 1 - chance) * Limits::kSmallResidual; }
};

Residual residual_of(const JudgedRun& run) {
  Residual residual;
  double entries = 0.0;
  for (const JudgedImage& image : run.images) {
    if (!image.chi_squared || !(image.observed > 0)) continue;
    residual.chi_squared += image.observed * *image.chi_squared;
    residual.explained += image.observed * image.explained;
    entries += image.observed;
  }
  if (!(entries > 0)) return residual;
  residual.known = true;
  residual.chi_squared /= entries;
  residual.explained /= entries;
  residual.chance = Limits::kErrors * std::sqrt(2 / entries);
  return residual;
}

bool residual_is_large(const JudgedRun& run) {
  const Residual residual = residual_of(run);
  return residual.known && residual.chi_squared > residual.most();
}

/// Every measurement is an image between 0 and 1, but for noise.
bool looks_like_unit_range(const JudgedRun& run) {
  bool dark = run.images.size() >= Limits::kFewImages;
  for (const JudgedImage& image : run.images) {
    const double beyond = Limits::kBeyond * image.sigma;
    if (!image.pixels || beyond > Limits::kMostBeyond || image.smallest < -beyond ||
        image.largest > 1 + beyond)
      return false;
    dark = dark && image.smallest <= Limits::kDarkest;
  }
  return !run.images.empty() && (dark || residual_is_large(run));
}

std::optional<Verdict> wrong_scale(const JudgedRun& run) {
  std::vector<double> loud;
  for (const JudgedImage& image : run.images)
    if (image.loudness > Limits::kLoudness) loud.push_back(image.loudness);
  if (!loud.empty()) {
    const double value = *mean_of(loud).value();
    return Verdict{
        .severity = Severity::serious,
        .value = value,
        .text = formatted("the measurements of {} of {} images are {} times as large as those of "
                          "an image on [-1, 1]",
                          loud.size(), run.images.size(), rounded(value)),
        .advice = "bring the data to [-1, 1]; of 8 bits input.range = 0,255 does it, v / 127.5 - 1"};
  }
  if (!looks_like_unit_range(run)) return std::nullopt;
  double smallest = run.images.front().smallest;
  for (const JudgedImage& image : run.images) smallest = std::min(smallest, image.smallest);
  return Verdict{
      .severity = Severity::serious,
      .value = smallest,
      .text = "the data look as if they were on [0, 1]: images are on [-1, 1] here, black is -1",
      .advice =
          "set input.range = 0,1, which brings them to [-1, 1] by 2 v - 1, and problem.sigma to 2 sigma"};
}

std::optional<Verdict> residual_large(const JudgedRun& run) {
  const Residual residual = residual_of(run);
  if (!residual.known || residual.chi_squared <= residual.most()) return std::nullopt;
  return Verdict{
      .severity = residual.chi_squared > Limits::kSeriousResidual + residual.explained ? Severity::serious
                                                                                       : Severity::warning,
      .value = residual.chi_squared,
      .text = formatted(
          "the restored images do not explain the data: the residuals y - A(x) are {} times as "
          "large as the noise of problem.sigma (chi-squared {}; 1 is expected, up to {} common)",
          rounded(std::sqrt(residual.chi_squared)), rounded(residual.chi_squared), rounded(residual.most())),
      .advice =
          "check problem.operator, problem.sigma and the data's scale, and that the prior knows such "
          "images; more steps (flow.grid) help where the misfit still falls"};
}

/// Whether an image's truth or baseline explains y, so that what its autoencoder leaves is the autoencoder's.
bool tells_of_autoencoder(const JudgedImage& image) {
  return image.autoencoder && image.reference && *image.reference <= Limits::kReference;
}

/// The standard error of the autoencoder's chi-squared `own` over images, which are not equally hard; 0 of
/// one alone.
double autoencoder_error(const JudgedRun& run, double own, double entries, std::size_t images) {
  if (images < 2) return 0.0;
  double squares = 0.0;
  for (const JudgedImage& image : run.images) {
    if (tells_of_autoencoder(image)) squares += std::pow(image.observed * (*image.autoencoder - own), 2);
  }
  const auto n = static_cast<double>(images);
  return std::sqrt(squares * n / (n - 1)) / entries;
}

/// The autoencoder alone, over the images whose truth or baseline explains y.
std::optional<Verdict> prior_cannot_represent(const JudgedRun& run) {
  double own = 0.0, entries = 0.0;
  std::size_t images = 0;
  for (const JudgedImage& image : run.images) {
    if (!tells_of_autoencoder(image)) continue;
    own += image.observed * *image.autoencoder;
    entries += image.observed;
    ++images;
  }
  if (!(entries > 0) || 2 * images <= run.images.size()) return std::nullopt;
  own /= entries;
  const double chance = own * std::sqrt(2 / entries), error = autoencoder_error(run, own, entries, images);
  if (own - Limits::kErrors * std::hypot(chance, error) <= Limits::kLargeResidual) return std::nullopt;
  return Verdict{
      .severity = own > Limits::kSeriousResidual ? Severity::serious : Severity::warning,
      .value = own,
      .text =
          formatted("the prior cannot represent these images: its autoencoder alone, given the truth (or, "
                    "without one, the baseline), leaves residuals {} times as large as the noise",
                    rounded(std::sqrt(own))),
      .advice =
          "take a prior whose autoencoder knows such images (prior.path, prior.codec); no number of "
          "steps or particles makes up for it"};
}

std::optional<Verdict> residual_small(const JudgedRun& run) {
  const Residual residual = residual_of(run);
  if (!residual.known || residual.chi_squared >= residual.least()) return std::nullopt;
  return Verdict{
      .value = residual.chi_squared,
      .text = formatted("the noise is being fitted, or is smaller than problem.sigma: the residuals "
                        "are {} times as large as it (chi-squared {}; 1 is expected)",
                        rounded(std::sqrt(residual.chi_squared)), rounded(residual.chi_squared)),
      .advice =
          "check problem.sigma (or problem.sigma = estimate); otherwise give the prior more "
          "weight by flow.weight, or take flow.preset = bayes"};
}

/// An estimate that the posterior mean is compared with.
struct Rival {
  std::optional<double> JudgedImage::*psnr;
  const char* name;
  double allowed = 0.0;  ///< by how many dB the mean may be below it
  double errors = 0.0;   ///< and by how many standard errors
  bool every = false;    ///< below it in every image is enough
};

std::optional<Verdict> below(const JudgedRun& run, const Rival& rival) {
  std::vector<double> differences;
  for (const JudgedImage& image : run.images)
    if (image.mean && image.*rival.psnr) differences.push_back(*image.mean - *(image.*rival.psnr));
  const MeanOverImages mean = mean_of(differences);
  if (mean.count() == 0) return std::nullopt;
  const double difference = *mean.value(), error = mean.error().value_or(0.0);
  const auto worse = std::count_if(differences.begin(), differences.end(), [](double d) { return d < 0; });
  const bool in_all = worse == static_cast<std::ptrdiff_t>(mean.count());
  const double least = -rival.allowed;  // of the mean difference
  const bool is_below = mean.count() < Limits::kFewImages
                            ? in_all && difference < least - Limits::kFewImagesDecibel
                            : (in_all && rival.every) || difference < least - rival.errors * error;
  if (!is_below) return std::nullopt;
  return Verdict{.value = difference,
                 .text = formatted("the posterior mean is {} dB below {}, in {} of {} images",
                                   rounded(-difference), rival.name, worse, mean.count())};
}

std::optional<Verdict> below_baseline(const JudgedRun& run) {
  auto verdict = below(run, {&JudgedImage::baseline, "the trivial baseline, which needs no prior", 0.0,
                             Limits::kPairedErrors, true});
  if (!verdict) return verdict;
  verdict->severity = Severity::serious;
  verdict->advice =
      "check that the prior knows such images (prior.path), and that problem.sigma and the "
      "operator are those of the data";
  return verdict;
}

std::optional<Verdict> below_linear_mmse(const JudgedRun& run) {
  const double allowed = 10 * std::log10(1 + 1 / static_cast<double>(run.context.particles));
  auto verdict =
      below(run, {&JudgedImage::linear_mmse, "the best linear estimate", allowed, Limits::kErrors});
  if (!verdict) return verdict;
  verdict->advice =
      "more particles (flow.particles) and steps (flow.grid), or flow.preset = bayes, bring the "
      "mean nearer to the best estimate";
  return verdict;
}

/// Coverage, what exchangeable particles have, and the room between.
struct Covered {
  MeanOverImages mean = {};
  double expected = 0.0, room = 0.0;
  double share() const { return mean.value().value_or(0.0); }
};

std::optional<Covered> covered(const JudgedRun& run) {
  Covered covered{.expected = attainable_level(run.context.particles, run.context.lower, run.context.upper)};
  for (const JudgedImage& image : run.images)
    if (image.coverage) covered.mean.add(*image.coverage, image.inner);
  if (covered.mean.count() == 0 || covered.expected < Limits::kLeastLevel) return std::nullopt;
  covered.room = covered.mean.count() < Limits::kFewImages
                     ? Limits::kFewImagesCoverage
                     : Limits::kCoverage + Limits::kErrors * covered.mean.error().value_or(0.0);
  return covered;
}

/// "hold 54.9 +- 2.9 % of the true pixels, where ..."
std::string coverage_words(const JudgedRun& run, const Covered& found) {
  const std::optional<double> error = found.mean.error();
  const auto tenths = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return std::string(text);
  };
  return formatted(
      "hold {}{} % of the true pixels, where {} particles as far apart as they are from the truth would hold "
      "{} on average",
      tenths(100 * found.share()), error ? " +- " + tenths(100 * *error) : "", run.context.particles,
      percent(found.expected));
}

std::optional<Verdict> intervals_too_narrow(const JudgedRun& run) {
  const auto found = covered(run);
  if (!found || found->share() >= found->expected - found->room) return std::nullopt;
  std::string advice =
      "take them as pictures, not as error bars; for these flow.preset = bayes, and 19 "
      "particles or more";
  if (run.samples)
    advice = run.context.decoder_error > 0
                 ? "the prior is narrower than these images are; one trained on such images helps"
                 : "what the autoencoder cannot draw is missing from the spread: evaluate --decoder-error "
                   "with images like these adds it";
  return Verdict{.value = found->share(),
                 .text = formatted("the {} % intervals are too narrow to be error bars: they {}",
                                   rounded(100 * run.context.level()), coverage_words(run, *found)),
                 .advice = advice};
}

std::optional<Verdict> intervals_too_wide(const JudgedRun& run) {
  const auto found = covered(run);
  if (!found || found->share() <= found->expected + found->room) return std::nullopt;
  return Verdict{.value = found->share(),
                 .text = formatted("the {} % intervals are wider than they need be: they {}",
                                   rounded(100 * run.context.level()), coverage_words(run, *found)),
                 .advice = run.context.decoder_error > 0
                               ? "measure --decoder-error on images like these"
                               : "check that problem.sigma is not above the noise; more steps (flow.grid)"};
}

/// Of the images whose misfit is known, the share for which `holds`, if it is above a half.
std::optional<double> share_of(const JudgedRun& run, const std::function<bool(const Trend&)>& holds) {
  std::size_t known = 0, held = 0;
  for (const JudgedImage& image : run.images) {
    if (!image.misfit) continue;
    ++known;
    const bool fits = image.sigma > 0 && 2 * image.misfit->last / (image.sigma * image.sigma) <=
                                             Limits::kLargeResidual + image.explained;
    held += !fits && holds(*image.misfit);
  }
  if (2 * held <= known) return std::nullopt;
  return static_cast<double>(held) / static_cast<double>(known);
}

bool rises(const Trend& trend) {
  return trend.last > Limits::kRise * trend.lowest && trend.last > trend.before_last;
}

std::optional<Verdict> diverging(const JudgedRun& run) {
  const auto share = share_of(run, rises);
  if (!share) return std::nullopt;
  return Verdict{.severity = Severity::serious,
                 .value = *share,
                 .text = formatted("the misfit rises at the end, to more than twice its lowest, in {} of the "
                                   "images: the flow diverges",
                                   percent(*share)),
                 .advice = "lower flow.lr or flow.weight; look at the misfit's curve in the report"};
}

std::optional<Verdict> stalled(const JudgedRun& run) {
  const auto share = share_of(
      run, [](const Trend& trend) { return !rises(trend) && trend.last > Limits::kStall * trend.first; });
  if (!share) return std::nullopt;
  return Verdict{.severity = Severity::serious,
                 .value = *share,
                 .text = formatted("the misfit never fell in {} of the images: the flow did not move towards "
                                   "the data",
                                   percent(*share)),
                 .advice = "more steps (flow.grid, flow.steps), a larger flow.lr; check problem.operator"};
}

std::optional<Verdict> failed_images(const JudgedRun& run) {
  if (run.failed == 0) return std::nullopt;
  return Verdict{.severity = 2 * run.failed > run.total ? Severity::serious : Severity::warning,
                 .value = static_cast<double>(run.failed),
                 .text = formatted("{} of {} images failed", run.failed, run.total),
                 .advice = "status and report tell why; the same restore command goes on with what is left"};
}

struct Rule {
  const char* code;
  std::optional<Verdict> (*judge)(const JudgedRun&);
};

constexpr Rule kRules[] = {{"wrong-scale", wrong_scale},
                           {"residual-large", residual_large},
                           {"prior-cannot-represent", prior_cannot_represent},
                           {"residual-small", residual_small},
                           {"diverging", diverging},
                           {"stalled", stalled},
                           {"below-baseline", below_baseline},
                           {"below-linear-mmse", below_linear_mmse},
                           {"intervals-too-narrow", intervals_too_narrow},
                           {"intervals-too-wide", intervals_too_wide},
                           {"failed-images", failed_images}};

// --- The numbers of an image ---

std::optional<double> finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<double> psnr_of(const at::Tensor& x, const at::Tensor& truth) {
  if (!x.defined() || !truth.defined() || x.sizes() != truth.sizes()) return std::nullopt;
  return finite(psnr(x, truth));
}

std::optional<Weighted> metric(const std::string& name, const StoredImage& image,
                               const PosteriorContext& context) {
  static const std::vector<PosteriorMetric> metrics = posterior_metrics();
  for (const PosteriorMetric& row : metrics)
    if (row.name == name) return row.of(image, context);
  return std::nullopt;
}

/// +1 and -1, the same in every run: float32 [count, C, H, W].
at::Tensor random_signs(std::int64_t count, at::IntArrayRef image) {
  at::Tensor signs = at::empty({count, image[0], image[1], image[2]}, at::kFloat);
  std::mt19937 generator(1);
  float* sign = signs.data_ptr<float>();
  for (std::int64_t k = 0; k < signs.numel(); ++k) sign[k] = (generator() >> 31) ? 1.0f : -1.0f;
  return signs;
}

double length_of(const at::Tensor& values) {
  return std::sqrt(values.to(at::kDouble).square().sum().item<double>());
}

/// What is observed of y, flat.
at::Tensor observed_part(const StoredImage& image) {
  const at::Tensor y = image.measurement.to(at::kDouble).flatten();
  const at::Tensor seen = image.forward->observed();
  return seen.defined() ? y.index({seen.expand_as(image.measurement).flatten() > 0.5}) : y;
}

void look_at_measurement(const StoredImage& image, JudgedImage& judged) {
  const at::Tensor y = observed_part(image);
  if (y.numel() == 0) return;
  judged.pixels = image.forward->measures_image();
  judged.smallest = y.min().item<double>();
  judged.largest = y.max().item<double>();
  const at::Tensor ones = at::ones_like(image.mean).unsqueeze(0);
  const at::Tensor probes = at::cat({ones, -ones, random_signs(2, image.mean.sizes())});  // [4, C, H, W]
  const at::Tensor measured = image.forward->apply(probes.contiguous());
  double most = judged.sigma * std::sqrt(static_cast<double>(y.numel()));
  double loudest = 0.0;
  for (std::int64_t k = 0; k < measured.size(0); ++k) loudest = std::max(loudest, length_of(measured[k]));
  most += loudest;
  judged.loudness = most > 0 ? length_of(y) / most : 0.0;
}

/// Chi-squared of the truth, or of the baseline where that is not known; nothing where it says nothing.
std::optional<double> reference_of(const StoredImage& image, double observed) {
  const at::Tensor& x = image.truth.defined() ? image.truth : image.baseline;
  if (!image.gaussian_noise || !(image.sigma > 0) || !(observed > 0) || !x.defined() ||
      x.sizes() != image.mean.sizes())
    return std::nullopt;
  const at::Tensor away = image.forward->apply(x.to(at::kFloat).unsqueeze(0).contiguous()) -
                          image.measurement.to(at::kFloat).unsqueeze(0);
  const double length = length_of(away);
  return finite(length * length / (observed * image.sigma * image.sigma));
}

/// |A(x + e s) - A(x)|^2 / (m sigma^2) for the mean x and random signs s.
double explained_by(double error, const StoredImage& image, double observed) {
  if (!(error > 0) || !(image.sigma > 0) || !(observed > 0)) return 0.0;
  const at::Tensor x = image.mean.unsqueeze(0);
  const at::Tensor both = at::cat({x, x + error * random_signs(1, image.mean.sizes())});
  const at::Tensor measured = image.forward->apply(both.contiguous());
  const double distance = length_of(measured[1] - measured[0]);
  return distance * distance / (observed * image.sigma * image.sigma);
}

std::vector<std::int64_t> committed_rows(const ResultsFile& file) {
  const std::vector<ImageState> states = file.states();
  std::vector<std::int64_t> rows;
  for (std::size_t row = 0; row < states.size(); ++row)
    if (states[row] == ImageState::committed) rows.push_back(static_cast<std::int64_t>(row));
  return rows;
}

}  // namespace

const char* word_for(Severity severity) {
  return severity == Severity::serious ? "serious" : "warning";
}

std::optional<Trend> trend_of(std::span<const float> misfit) {
  std::vector<double> values;
  for (const float value : misfit)
    if (std::isfinite(value)) values.push_back(value);
  const std::size_t count = values.size(), tenths = std::min<std::size_t>(10, count);
  if (count < 5) return std::nullopt;
  std::vector<double> means;
  for (std::size_t k = 0; k < tenths; ++k) {
    const std::size_t begin = k * count / tenths, end = (k + 1) * count / tenths;
    double sum = 0.0;
    for (std::size_t i = begin; i < end; ++i) sum += values[i];
    means.push_back(sum / static_cast<double>(end - begin));
  }
  return Trend{values.front(), *std::min_element(means.begin(), means.end()), means[tenths - 2],
               means[tenths - 1]};
}

std::vector<std::string> verdict_codes() {
  std::vector<std::string> codes;
  for (const Rule& rule : kRules) codes.emplace_back(rule.code);
  return codes;
}

std::vector<Verdict> verdicts_of(const JudgedRun& run) {
  std::vector<Verdict> verdicts;
  for (const Rule& rule : kRules) {
    if (auto verdict = rule.judge(run)) {
      verdict->code = rule.code;
      verdicts.push_back(std::move(*verdict));
    }
  }
  std::stable_sort(verdicts.begin(), verdicts.end(),
                   [](const Verdict& a, const Verdict& b) { return a.severity > b.severity; });
  return verdicts;
}

Judge::Judge(const StoredImages& stored, const PosteriorContext& context) : stored_(stored) {
  run_.context = context;
  run_.samples = stored.input().method.options.data.objective == Objective::bayes;
  for (const ImageState state : stored.file().states()) run_.failed += state == ImageState::failed;
  run_.total = stored.count();
}

void Judge::add(std::int64_t row, const StoredImage& image) {
  JudgedImage one = judged(image, run_.context);
  const std::string misfit = schema::kDiagnostic.named("misfit");
  if (stored_.file().layout().find(misfit)) one.misfit = trend_of(stored_.file().read_floats(misfit, row));
  run_.images.push_back(one);
}

JudgedImage judged(const StoredImage& image, const PosteriorContext& context) {
  JudgedImage one;
  one.mean = psnr_of(image.mean, image.truth);
  one.baseline = psnr_of(image.baseline, image.truth);
  one.linear_mmse = psnr_of(image.linear_mmse, image.truth);
  one.sigma = image.gaussian_noise ? image.sigma : 0.0;
  one.observed = static_cast<double>(image.forward->observed_count());
  auto chi_squared = metric("chi_squared", image, context);
  if (!chi_squared) chi_squared = metric("chi_squared_mean", image, context);
  if (chi_squared) one.chi_squared = chi_squared->value;
  if (const auto coverage = metric("coverage", image, context)) {
    one.coverage = coverage->value;
    one.inner = coverage->weight;
  }
  one.autoencoder = image.autoencoder ? finite(*image.autoencoder) : std::nullopt;
  if (one.autoencoder) one.reference = reference_of(image, one.observed);
  one.explained = explained_by(context.decoder_error, image, one.observed);
  look_at_measurement(image, one);
  return one;
}

std::vector<Verdict> quick_verdicts(const std::string& path) {
  StoredImages stored(path);
  Judge judge(stored, posterior_context(stored));
  const std::vector<std::int64_t> rows = committed_rows(stored.file());
  std::int64_t values = 1;
  for (const std::int64_t size : stored.file().layout().find(schema::kPosteriorMean.path)->row_shape)
    values *= size;
  const auto count = static_cast<std::int64_t>(rows.size());
  const std::int64_t read = std::min(
      {count, kQuickImages, std::max<std::int64_t>(1, kQuickValues / std::max<std::int64_t>(1, values))});
  for (std::int64_t k = 0; k < read; ++k) {
    const std::int64_t row = rows[static_cast<std::size_t>(k * count / read)];
    judge.add(row, stored.read(row, Estimates::trivial));
  }
  std::vector<Verdict> verdicts = judge.verdicts();
  std::erase_if(verdicts, [](const Verdict& verdict) { return verdict.code == "failed-images"; });
  return verdicts;
}

std::string lines_of(const std::vector<Verdict>& verdicts) {
  std::string lines;
  for (const Verdict& verdict : verdicts) {
    if (!lines.empty()) lines += "\n";
    lines +=
        formatted("  {}, {}: {}; {}", word_for(verdict.severity), verdict.code, verdict.text, verdict.advice);
  }
  return lines;
}

}  // namespace dwgf
