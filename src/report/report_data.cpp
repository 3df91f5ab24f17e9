#include "report/report_data.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <set>

#include <ATen/ATen.h>

#include <dwgf/flow/monitor.hpp>
#include <dwgf/flow/solve.hpp>

#include "base/log.hpp"
#include "job/build.hpp"
#include "report/picture_uri.hpp"
#include "report/truth_images.hpp"
#include "report/worst_places.hpp"
#include "service/heartbeat.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

constexpr std::size_t kListed = 8;  // in lists of the worst and the slowest
constexpr std::size_t kListedFailures = 100;
constexpr std::int64_t kPoints = 400;  // of the plot of times
constexpr std::int64_t kParticlesShown = 3;
constexpr double kWhite = 0.5;  // of standard deviations and errors

/// At most `most` of `all`, evenly spaced; all for 0.
std::vector<std::int64_t> evenly_spaced(const std::vector<std::int64_t>& all, std::int64_t most) {
  const auto count = static_cast<std::int64_t>(all.size());
  if (most == 0 || count <= most) return all;
  std::vector<std::int64_t> some;
  for (std::int64_t k = 0; k < most; ++k) some.push_back(all[static_cast<std::size_t>(k * count / most)]);
  return some;
}

/// The k largest of what it is given.
class Largest {
 public:
  explicit Largest(std::size_t size) : size_(size) {}
  void add(double value, std::int64_t row) {
    if (!std::isfinite(value)) return;
    found_.insert({value, -row});
    if (found_.size() > size_) found_.erase(found_.begin());
  }
  /// The largest first, of equal ones the first row.
  std::vector<std::pair<double, std::int64_t>> take() const {
    std::vector<std::pair<double, std::int64_t>> all;
    for (auto at = found_.rbegin(); at != found_.rend(); ++at) all.push_back({at->first, -at->second});
    return all;
  }

 private:
  std::size_t size_;
  std::set<std::pair<double, std::int64_t>> found_;
};

/// The number that an image is judged by, larger is worse, and its name: the first quality of the posterior
/// mean where the truth is known, else how far the particles' chi-squared is from 1.
struct Judgement {
  std::string name;
  double badness = std::numeric_limits<double>::quiet_NaN();
  double value = 0.0;
};

Judgement judged(const ImageEvaluation& image, const Evaluator& evaluator) {
  for (std::size_t m = 0; m < image.quality.size(); ++m) {
    const QualityMetric& metric = evaluator.quality()[m];
    if (const auto& value = image.quality[m].mean)
      return {metric.title + " of the posterior mean", metric.larger_is_better ? -*value : *value, *value};
  }
  for (std::size_t m = 0; m < image.posterior.size(); ++m) {
    const PosteriorMetric& metric = evaluator.posterior()[m];
    const auto& value = image.posterior[m];
    if (metric.name == "chi_squared" && value && value->value > 0)
      return {metric.title, std::abs(std::log(value->value)), value->value};
  }
  return {};
}

at::Tensor grey(const at::Tensor& values) {
  return values.mean(0, /*keepdim=*/true);  // [1, H, W] of [C, H, W]
}

/// What can be looked at of an image.
class Pictures {
 public:
  void add(const std::string& caption, const at::Tensor& pixels) {
    if (!pixels.defined() || pixels.dim() != 3 || (pixels.size(0) != 1 && pixels.size(0) != 3)) return;
    pictures_.push_back({caption, picture_uri(pixels), pixels.size(1), pixels.size(2)});
  }
  void add_on_scale(const std::string& caption, const at::Tensor& image) {
    if (image.defined()) add(caption, (image + 1.0) * 0.5);
  }
  void append(std::vector<Picture> more) {
    pictures_.insert(pictures_.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
  }
  std::vector<Picture> take() { return std::move(pictures_); }

 private:
  std::vector<Picture> pictures_;
};

std::vector<Picture> problem_pictures(const StoredImage& image, const std::string& baseline) {
  Pictures pictures;
  if (image.forward && image.forward->measures_image())
    pictures.add_on_scale("measurement", image.measurement);
  pictures.add_on_scale(baseline.empty() ? "baseline" : baseline, image.baseline);
  pictures.add_on_scale("linear MMSE", image.linear_mmse);
  return pictures.take();
}

std::vector<Picture> posterior_pictures(const StoredImage& image) {
  Pictures pictures;
  pictures.add_on_scale("posterior mean", image.mean);
  pictures.add("standard deviation", grey(image.std) / kWhite);
  if (image.truth.defined()) pictures.add("|mean - truth|", grey((image.mean - image.truth).abs()) / kWhite);
  return pictures.take();
}

std::vector<Picture> ensemble_pictures(const StoredImage& image, const PosteriorContext& context) {
  Pictures pictures;
  const at::Tensor intervals = image.truth.defined() ? credible_intervals(image, context) : at::Tensor();
  if (intervals.defined()) {
    const at::Tensor bounds = intervals.clamp(-1, 1), truth = image.truth.to(at::kDouble).clamp(-1, 1);
    pictures.add("outside of its interval",
                 grey(at::logical_or(truth<bounds[0], truth> bounds[1]).to(at::kDouble)));
  }
  for (std::int64_t i = 0;
       image.particles.defined() && i < std::min(kParticlesShown, image.particles.size(0)); ++i)
    pictures.add_on_scale(formatted("particle {}", i + 1), image.particles[i]);
  return pictures.take();
}

/// Of an image that is shown smaller than it is: its worst places, pixel by pixel.
std::vector<Picture> cut_outs(const StoredImage& image) {
  constexpr std::int64_t large = 512, side = 256;
  constexpr std::size_t most = 3;
  const std::int64_t height = image.mean.size(1), width = image.mean.size(2);
  if (std::max(height, width) <= large || std::min(height, width) < side) return {};
  const bool knows_truth = image.truth.defined();
  const at::Tensor badness = grey(knows_truth ? (image.mean - image.truth).abs() : image.std);  // [1, H, W]
  Pictures pictures;
  for (const Place& place : worst_places(badness.squeeze(0), side, most)) {
    const std::string where = formatted(", 1:1 from row {}, column {}", place.top, place.left);
    pictures.add_on_scale("posterior mean" + where, part_at(image.mean, place));
    if (knows_truth) pictures.add_on_scale("truth" + where, part_at(image.truth, place));
    pictures.add((knows_truth ? "|mean - truth|" : "standard deviation") + where,
                 part_at(badness, place) / kWhite);
  }
  return pictures.take();
}

/// Diagnostics of some images, record by record.
class Curves {
 public:
  void add(const ResultsFile& file, std::int64_t row) {
    for (const DatasetLayout& dataset : file.layout().datasets) {
      if (const auto name = schema::kDiagnostic.name_in(dataset.path))
        values_[*name].push_back(file.read_floats(dataset.path, row));
    }
    ++images_;
  }
  std::int64_t images() const { return images_; }

  std::map<std::string, Curve> take() const {
    std::map<std::string, Curve> curves;
    for (const auto& [name, rows] : values_) {
      Curve& curve = curves[name];
      for (std::size_t record = 0; record < rows.front().size(); ++record) {
        std::vector<double> column;
        for (const auto& row : rows)
          if (std::isfinite(row[record])) column.push_back(row[record]);
        std::sort(column.begin(), column.end());
        const auto at = [&](double p) {
          if (column.empty()) return std::numeric_limits<double>::quiet_NaN();
          return column[static_cast<std::size_t>(std::lround(p * static_cast<double>(column.size() - 1)))];
        };
        curve.lower.push_back(at(0.1));
        curve.median.push_back(at(0.5));
        curve.upper.push_back(at(0.9));
      }
    }
    return curves;
  }

 private:
  std::map<std::string, std::vector<std::vector<float>>> values_;
  std::int64_t images_ = 0;
};

/// Observed coverage of central intervals that the particles can make, over inner pixels.
class CoverageCurve {
 public:
  explicit CoverageCurve(const PosteriorContext& context) : error_(context.decoder_error) {
    const double most = attainable_level(context.particles, 1e-9, 1 - 1e-9);
    for (int percent = 10; percent <= 95; percent += percent < 90 ? 10 : 5) {
      if (percent / 100.0 <= most + 1e-12) shares_[percent / 100.0] = {};
    }
  }
  void add(const StoredImage& image) {
    if (!image.truth.defined() || !image.particles.defined()) return;
    for (auto& [level, mean] : shares_) {
      const Coverage found = coverage_of_particles(image, level, error_);
      const auto inner = static_cast<double>(found.inner);
      if (found.inner > 0) mean.add(static_cast<double>(found.inner_covered) / inner, inner);
    }
  }
  std::vector<std::pair<double, MeanOverImages>> take() const {
    std::vector<std::pair<double, MeanOverImages>> points;
    for (const auto& [level, mean] : shares_)
      if (mean.value()) points.push_back({level, mean});
    return points;
  }

 private:
  double error_;
  std::map<double, MeanOverImages> shares_;
};

void read_timing(const ResultsFile& file, const std::vector<std::int64_t>& rows, ReportData& data) {
  const bool grouped = file.layout().find(schema::kTimingGroup.path) != nullptr;
  for (const std::int64_t row : rows) {
    if (!grouped) break;
    GroupTiming& group = data.groups[std::llround(file.read_floats(schema::kTimingGroup.path, row).front())];
    const double seconds = file.seconds(row);
    ++group.images;
    group.seconds += seconds;
    group.slowest = std::max(group.slowest, seconds);
    group.waited += file.read_floats(schema::kTimingWait.path, row).front();
    ++data.timed_images;
  }
  data.shares = time_shares(file);
  for (const std::int64_t row : evenly_spaced(rows, kPoints))
    data.seconds_by_row.push_back({static_cast<double>(row), file.seconds(row)});
}

/// Whose pictures are shown, and why: some of the worst, some of the slowest, the rest evenly spaced.
std::vector<std::pair<std::int64_t, std::string>> chosen(const std::vector<std::int64_t>& done,
                                                         const Largest& worst, const Largest& slowest,
                                                         std::int64_t pictures) {
  std::vector<std::pair<std::int64_t, std::string>> rows;
  std::set<std::int64_t> seen;
  const auto add = [&](std::int64_t row, const char* why, std::int64_t room) {
    if (static_cast<std::int64_t>(rows.size()) < room && seen.insert(row).second) rows.push_back({row, why});
  };
  const std::int64_t third = (pictures + 2) / 3;
  const bool all = static_cast<std::int64_t>(done.size()) <= pictures;
  if (!all) {
    for (const auto& [value, row] : worst.take()) add(row, "worst", third);
    for (const auto& [value, row] : slowest.take()) add(row, "slowest", std::min(2 * third, pictures));
  }
  for (const std::int64_t row : evenly_spaced(done, pictures)) add(row, all ? "" : "evenly spaced", pictures);
  return rows;
}

/// What is found out on the way, and needed until the pictures are chosen.
struct Found {
  std::vector<std::int64_t> done;  ///< rows
  Largest worst, slowest;
  std::map<std::int64_t, double> values;  ///< of the images that may be among the worst
};

/// All images: how they ended, and how long they took.
void read_states(const ResultsFile& file, const ReportLimits& limits, ReportData& data, Found& found) {
  const std::vector<ImageState> states = file.states();
  data.total = static_cast<std::int64_t>(file.layout().images.size());
  for (std::int64_t row = 0; row < data.total; ++row) {
    const ImageState state = states[static_cast<std::size_t>(row)];
    if (state == ImageState::committed) {
      found.done.push_back(row);
      found.slowest.add(file.seconds(row), row);
    } else if (state == ImageState::failed && ++data.failed <= static_cast<std::int64_t>(kListedFailures)) {
      data.failures.push_back({file.layout().images[static_cast<std::size_t>(row)].name, file.reason(row)});
    }
  }
  data.done = static_cast<std::int64_t>(found.done.size());
  read_timing(file, evenly_spaced(found.done, limits.timed), data);
}

/// A sample of the images: how good they are.
void measure_sample(StoredImages& stored, const Evaluator& evaluator, const ReportLimits& limits,
                    ReportData& data, Found& found) {
  const std::vector<std::int64_t> sample = evenly_spaced(found.done, limits.sample);
  const std::vector<std::int64_t> drawn = evenly_spaced(sample, limits.curves);
  Curves curves;
  CoverageCurve coverage(data.context);
  Reliability reliability(data.context);
  Judge judge(stored, data.context);
  std::int64_t own_error = 0;
  std::atomic<std::size_t> seen = 0;
  const Heartbeat heartbeat([&] {
    return formatted("{}: {} of {} images measured", stored.file().path(), seen.load(), sample.size());
  });
  for (const std::int64_t row : sample) {
    const StoredImage image = stored.read(row);
    const ImageEvaluation evaluation = evaluator.evaluate(row, image);
    data.summary.add(evaluation);
    judge.add(row, image);
    own_error += evaluator.measured_error_on(image);
    const Judgement judgement = judged(evaluation, evaluator);
    found.worst.add(judgement.badness, row);
    if (!judgement.name.empty()) data.worst_by = judgement.name;
    found.values[row] = judgement.value;
    coverage.add(image);
    reliability.add(image);
    ++seen;
    if (std::binary_search(drawn.begin(), drawn.end(), row)) curves.add(stored.file(), row);
  }
  if (own_error > 0) log_job(LogLevel::warning, own_error_words(own_error, data.summary.images()));
  data.verdicts = judge.verdicts();
  data.coverage = coverage.take();
  data.reliability = reliability.take();
  data.curves = curves.take();
  data.curve_images = curves.images();
}

/// The first of `largest`, with the number that `value` makes of each.
template <typename Value>
std::vector<RankedImage> ranked(const Largest& largest, const ResultsFile& file, const Value& value) {
  std::vector<RankedImage> images;
  for (const auto& [badness, row] : largest.take()) {
    if (images.size() < kListed)
      images.push_back({row, file.layout().images[static_cast<std::size_t>(row)].name, value(badness, row)});
  }
  return images;
}

/// Rows of the images that are shown of another file, and why they are.
std::vector<std::pair<std::int64_t, std::string>> shown_by(const ReportData& like, const ResultsFile& file,
                                                           const std::vector<std::int64_t>& done) {
  std::map<std::uint64_t, std::int64_t> by_id;
  for (const std::int64_t row : done) by_id[file.layout().images[static_cast<std::size_t>(row)].id] = row;
  std::vector<std::pair<std::int64_t, std::string>> rows;
  for (const ShownImage& shown : like.shown) {
    if (const auto same = by_id.find(shown.evaluation.id); same != by_id.end())
      rows.push_back({same->second, shown.why});
  }
  return rows;
}

}  // namespace

ReportData read_report_data(const std::string& path, const std::string& label, const JudgeInput& judge,
                            const ReportLimits& limits, const ReportData* like) {
  StoredImages stored(path);
  take_truth(stored, judge.truth);
  const ResultsFile& file = stored.file();
  const Evaluator evaluator(stored, judge);
  ReportData data{.path = path,
                  .label = label,
                  .attributes = file.layout().attributes,
                  .job = stored.job(),
                  .words = words_of(stored.job()),
                  .baseline_name = stored.baseline_name(),
                  .quality = evaluator.quality(),
                  .posterior = evaluator.posterior(),
                  .context = evaluator.context(),
                  .summary = Summary(evaluator.quality().size(), evaluator.posterior().size())};
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(limits.pictures, kListed));
  Found found{{}, Largest(most), Largest(most), {}};
  read_states(file, limits, data, found);
  measure_sample(stored, evaluator, limits, data, found);
  const FlowOptions flow = flow_options(stored.input());
  data.steps = recorded_steps(step_count(flow), flow.record_every);
  data.worst = ranked(found.worst, file, [&](double, std::int64_t row) { return found.values[row]; });
  data.slowest = ranked(found.slowest, file, [](double seconds, std::int64_t) { return seconds; });

  // A few: what they look like.
  std::atomic<std::size_t> drawn = 0;
  const Heartbeat heartbeat([&] { return formatted("{}: {} images drawn", file.path(), drawn.load()); });
  const bool new_problem = !like || !data.words.same_problem(like->words);
  for (const auto& [row, why] : like ? shown_by(*like, file, found.done)
                                     : chosen(found.done, found.worst, found.slowest, limits.pictures)) {
    const StoredImage image = stored.read(row);
    Pictures pictures;
    if (!like) pictures.add_on_scale("truth", image.truth);
    if (new_problem) pictures.append(problem_pictures(image, data.baseline_name));
    pictures.append(posterior_pictures(image));
    pictures.append(cut_outs(image));
    if (label.empty()) pictures.append(ensemble_pictures(image, data.context));
    data.shown.push_back({row, why, evaluator.evaluate(row, image), pictures.take(),
                          file.layout().images[static_cast<std::size_t>(row)].prompt});
    ++drawn;
  }
  return data;
}

}  // namespace dwgf
