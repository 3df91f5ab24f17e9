#include "report/evaluate.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "comm/throw_on_all.hpp"
#include "job/decoder_error.hpp"
#include "posterior/ranks.hpp"
#include "report/fid.hpp"
#include "report/truth_images.hpp"
#include "report/verdicts.hpp"
#include "service/heartbeat.hpp"

namespace dwgf {

namespace {

using Json = nlohmann::ordered_json;

std::optional<double> score(const QualityMetric& metric, const at::Tensor& x, const at::Tensor& truth) {
  if (!metric.of || !x.defined() || !truth.defined() || x.sizes() != truth.sizes()) return std::nullopt;
  const double value = metric.of(x, truth);
  return std::isnan(value) ? std::nullopt : std::optional(value);
}

Scores scores(const QualityMetric& metric, const StoredImage& image) {
  Scores result{score(metric, image.measurement, image.truth), score(metric, image.baseline, image.truth),
                score(metric, image.linear_mmse, image.truth), score(metric, image.mean, image.truth),
                std::nullopt};
  if (!image.particles.defined()) return result;
  double sum = 0.0;
  for (std::int64_t i = 0; i < image.particles.size(0); ++i) {
    const std::optional<double> one = score(metric, image.particles[i], image.truth);
    if (!one) return result;
    sum += *one;
  }
  result.particle = sum / static_cast<double>(image.particles.size(0));
  return result;
}

// JSON has no infinity: the PSNR of an exact copy is told as null.
Json to_json(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json();
}

Json to_json(const Scores& values) {
  Json object;
  for (const Scores::Column& column : Scores::columns()) object[column.name] = to_json(values.*column.field);
  return object;
}

Json to_json(const std::vector<Verdict>& verdicts) {
  Json list = Json::array();
  for (const Verdict& verdict : verdicts) {
    list.push_back({{"code", verdict.code},
                    {"severity", word_for(verdict.severity)},
                    {"value", to_json(std::optional(verdict.value))},
                    {"text", verdict.text},
                    {"advice", verdict.advice}});
  }
  return list;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv_field(const std::optional<double>& value) {
  if (!value) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", *value);
  return text;
}

/// Where what is evaluated goes, image by image.
class Printer {
 public:
  virtual ~Printer() = default;
  virtual void image(const ImageEvaluation&) {}
  virtual void summary(const Summary&, std::int64_t total, const std::vector<Verdict>&) {}
};

class TablePrinter final : public Printer {
 public:
  TablePrinter(const Evaluator& evaluator, std::string baseline, const Scores& fid)
      : evaluator_(evaluator), baseline_(std::move(baseline)), fid_(fid) {}

  void summary(const Summary& summary, std::int64_t total, const std::vector<Verdict>& verdicts) override {
    std::size_t longest = 19;
    for (const PosteriorMetric& metric : evaluator_.posterior())
      longest = std::max(longest, metric.title.size());
    longest = std::max(longest, baseline_.size());
    const int margin = static_cast<int>(longest);
    std::printf("%-*s", margin, "");
    for (const QualityMetric& metric : evaluator_.quality())
      std::printf(" %*s%*s", width(metric), metric.title.c_str(), kErrorWidth, "");
    std::printf(" %8s\n", "FID");
    for (std::size_t c = 0; c < Scores::columns().size(); ++c) {
      const Scores::Column& column = Scores::columns()[c];
      const bool is_baseline = column.field == &Scores::baseline && !baseline_.empty();
      std::printf("%-*s", margin, is_baseline ? baseline_.c_str() : column.title);
      for (std::size_t m = 0; m < evaluator_.quality().size(); ++m)
        cell(summary.quality(m, c), width(evaluator_.quality()[m]), evaluator_.quality()[m].digits,
             kErrorWidth);
      cell(fid_.*column.field, 8, 2);
      std::printf("\n");
    }
    std::printf("\n");
    for (std::size_t m = 0; m < evaluator_.posterior().size(); ++m) {
      const PosteriorMetric& metric = evaluator_.posterior()[m];
      std::printf("%-*s", margin, metric.title.c_str());
      cell(summary.posterior(m), 10, metric.digits);
      if (metric.name == "coverage" && summary.posterior(m).value())
        std::printf("   %s", of_intervals().c_str());
      std::printf("\n");
    }
    std::printf("%-*s", margin, "ranks even, p-value");
    cell(summary.evenness(), 10, 3);
    std::printf("\n");
    std::printf("means over %lld of %lld images +- standard error over images; -: does not apply\n",
                static_cast<long long>(summary.images()), static_cast<long long>(total));
    if (!verdicts.empty()) std::printf("\nverdicts, the worst first\n%s\n", lines_of(verdicts).c_str());
  }

 private:
  static int width(const QualityMetric& metric) {
    return std::max(8, static_cast<int>(metric.title.size()) + 1);
  }

  /// What follows a mean: " +- 0.0123".
  static constexpr int kErrorWidth = 10;

  static void cell(const MeanOverImages& mean, int width, int digits, int error_width = 0) {
    cell(mean.value(), width, digits);
    char text[32] = "";
    if (const auto error = mean.error(); error && *error < 1e5)
      std::snprintf(text, sizeof text, " +- %.*f", digits, *error);
    std::printf("%-*s", error_width, text);
  }

  static void cell(const std::optional<double>& value, int width, int digits) {
    if (value) {
      std::printf(" %*.*f", width, digits, *value);
    } else {
      std::printf(" %*s", width, "-");
    }
  }

  /// What the coverage is to be compared with.
  std::string of_intervals() const {
    const PosteriorContext& context = evaluator_.context();
    const double attainable = attainable_level(context.particles, context.lower, context.upper);
    char text[160];
    std::snprintf(text, sizeof text, "of %.3g %% intervals, pixels with |truth| < 0.99",
                  100 * context.level());
    std::string words = text;
    if (attainable < context.level() - 1e-9) {
      std::snprintf(text, sizeof text,
                    "; %lld particles that are exchangeable with the truth cover %.1f %% on average",
                    static_cast<long long>(context.particles), 100 * attainable);
      words += text;
    }
    if (context.decoder_error > 0) {
      std::snprintf(text, sizeof text, "; widened for a decoder's error of %.4g", context.decoder_error);
      words += text;
    }
    if (context.other_decoder_error) {
      std::snprintf(text, sizeof text, " (%.4g with the other of prior.codec and the prior's own)",
                    *context.other_decoder_error);
      words += text;
    }
    return words;
  }

  const Evaluator& evaluator_;
  std::string baseline_;
  Scores fid_;
};

class JsonPrinter final : public Printer {
 public:
  JsonPrinter(const Evaluator& evaluator, std::string baseline, const Scores& fid)
      : evaluator_(evaluator), baseline_(std::move(baseline)), fid_(fid) {}

  void image(const ImageEvaluation& image) override {
    Json object = {{"id", image.id}, {"name", image.name}};
    for (std::size_t m = 0; m < evaluator_.quality().size(); ++m)
      object[evaluator_.quality()[m].name] = to_json(image.quality[m]);
    for (std::size_t m = 0; m < evaluator_.posterior().size(); ++m) {
      const auto& value = image.posterior[m];
      object[evaluator_.posterior()[m].name] = value ? to_json(value->value) : Json();
    }
    images_.push_back(std::move(object));
  }

  void summary(const Summary& summary, std::int64_t total, const std::vector<Verdict>& verdicts) override {
    Json whole = numbers(summary, [](const MeanOverImages& mean) { return mean.value(); });
    whole["fid"] = to_json(fid_);
    whole["standard_errors"] = numbers(summary, [](const MeanOverImages& mean) { return mean.error(); });
    whole["rank_histogram"] = ranks(summary);
    whole["rank_evenness_p"] = to_json(summary.evenness());
    const PosteriorContext& context = evaluator_.context();
    whole["interval_level"] = decimal(context.level());
    whole["attainable_level"] =
        context.particles > 1
            ? Json(decimal(attainable_level(context.particles, context.lower, context.upper)))
            : Json();
    whole["decoder_error"] = context.decoder_error > 0 ? Json(context.decoder_error) : Json();
    if (context.other_decoder_error) whole["other_decoder_error"] = *context.other_decoder_error;
    whole["baseline_name"] = baseline_.empty() ? Json() : Json(baseline_);
    whole["images"] = summary.images();
    whole["total"] = total;
    const Json both = {{"summary", whole}, {"verdicts", to_json(verdicts)}, {"images", images_}};
    std::printf("%s\n", both.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
  }

 private:
  /// Of every metric, as its name says.
  template <class Number>
  Json numbers(const Summary& summary, const Number& number) const {
    Json whole;
    for (std::size_t m = 0; m < evaluator_.quality().size(); ++m) {
      Json columns;
      for (std::size_t c = 0; c < Scores::columns().size(); ++c)
        columns[Scores::columns()[c].name] = to_json(number(summary.quality(m, c)));
      whole[evaluator_.quality()[m].name] = columns;
    }
    for (std::size_t m = 0; m < evaluator_.posterior().size(); ++m)
      whole[evaluator_.posterior()[m].name] = to_json(number(summary.posterior(m)));
    return whole;
  }

  /// Shares of pixels by rank, with their standard errors over images.
  static Json ranks(const Summary& summary) {
    const std::vector<MeanOverImages> bins = summary.ranks();
    if (bins.empty()) return {};
    Json shares = Json::array(), errors = Json::array();
    for (const MeanOverImages& bin : bins) {
      shares.push_back(to_json(bin.value()));
      errors.push_back(to_json(bin.error()));
    }
    return {{"shares", shares}, {"standard_errors", errors}};
  }

  /// 0.9 for what differences of decimals make of it, 0.8999999999999999.
  static double decimal(double value) { return std::round(value * 1e12) / 1e12; }

  const Evaluator& evaluator_;
  std::string baseline_;
  Scores fid_;
  Json images_ = Json::array();
};

class CsvPrinter final : public Printer {
 public:
  explicit CsvPrinter(const Evaluator& evaluator) : evaluator_(evaluator) {
    std::string head = "id,name";
    for (const QualityMetric& metric : evaluator_.quality())
      for (const Scores::Column& column : Scores::columns())
        head += formatted(",{}_{}", metric.name, column.name);
    for (const PosteriorMetric& metric : evaluator_.posterior()) head += "," + metric.name;
    std::printf("%s\n", head.c_str());
  }

  void image(const ImageEvaluation& image) override {
    std::string line = formatted("{},{}", image.id, csv_field(image.name));
    for (const Scores& scores : image.quality)
      for (const Scores::Column& column : Scores::columns()) line += "," + csv_field(scores.*column.field);
    for (const auto& value : image.posterior)
      line += "," + csv_field(value ? std::optional(value->value) : std::nullopt);
    std::printf("%s\n", line.c_str());
  }

 private:
  const Evaluator& evaluator_;
};

std::unique_ptr<Printer> make_printer(const EvaluateInput& input, const Evaluator& evaluator,
                                      const std::string& baseline, const Scores& fid) {
  if (input.json && input.csv) throw UsageError("--json and --csv are two ways to print; give one of them");
  if (input.json) return std::make_unique<JsonPrinter>(evaluator, baseline, fid);
  if (input.csv) return std::make_unique<CsvPrinter>(evaluator);
  return std::make_unique<TablePrinter>(evaluator, baseline, fid);
}

void print_evaluation(const std::string& path, const EvaluateInput& input, const Scores& fid) {
  StoredImages stored(path);
  take_truth(stored, input.judge.truth);
  const Evaluator evaluator(stored, input.judge);
  const std::unique_ptr<Printer> printer = make_printer(input, evaluator, stored.baseline_name(), fid);
  Summary summary(evaluator.quality().size(), evaluator.posterior().size());
  Judge judge(stored, evaluator.context());
  std::int64_t own_error = 0;
  std::atomic<std::int64_t> seen = 0;
  const Heartbeat heartbeat(
      [&seen, all = stored.count()] { return formatted("{} of {} images looked at", seen.load(), all); });
  for (std::int64_t row = 0; row < stored.count(); ++row) {
    if (stored.file().state(row) != ImageState::committed) continue;
    const StoredImage stored_image = stored.read(row);
    const ImageEvaluation image = evaluator.evaluate(row, stored_image);
    printer->image(image);
    summary.add(image);
    judge.add(row, stored_image);
    own_error += evaluator.measured_error_on(stored_image);
    seen = row + 1;
  }
  if (own_error > 0) log_job(LogLevel::warning, own_error_words(own_error, summary.images()));
  printer->summary(summary, stored.count(), judge.verdicts());
}

}  // namespace

PosteriorContext posterior_context(const StoredImages& stored) {
  PosteriorContext context;
  context.particles = stored.input().method.options.particles;
  const std::vector<double> stored_at = stored.quantiles();
  if (stored_at.size() >= 2) {
    context.lower = stored_at.front();
    context.upper = stored_at.back();
  }
  return context;
}

Evaluator::Evaluator(const StoredImages& stored, const JudgeInput& input)
    : quality_(quality_metrics(input.lpips)),
      posterior_(posterior_metrics()),
      context_(posterior_context(stored)) {
  const std::string& error = input.decoder_error;
  if (error.empty()) return;
  const DecoderError measured = decoder_error(error, stored.input());
  context_.decoder_error = measured.value;
  context_.other_decoder_error = measured.other;
  error_contents_.insert(measured.contents.begin(), measured.contents.end());
  if (!measured.unread.empty()) {
    log_job(
        LogLevel::warning,
        formatted("--decoder-error: {} of {} images cannot be read and are left out; the first: {}",
                  measured.unread.size(), measured.images + static_cast<std::int64_t>(measured.unread.size()),
                  measured.unread.front()));
  }
}

bool Evaluator::measured_error_on(const StoredImage& image) const {
  return image.truth.defined() && !error_contents_.empty() &&
         error_contents_.contains(content_of(image.truth));
}

std::string own_error_words(std::int64_t own, std::int64_t all) {
  return formatted(
      "--decoder-error was measured on {} of the {} images that are evaluated: intervals widened by an "
      "error of their own hold too much; give other images, such as training images",
      own, all);
}

ImageEvaluation Evaluator::evaluate(std::int64_t row, const StoredImage& image) const {
  ImageEvaluation evaluation{row, image.id, image.name, {}, {}, ranks_of(image, context_)};
  for (const QualityMetric& metric : quality_) evaluation.quality.push_back(scores(metric, image));
  for (const PosteriorMetric& metric : posterior_)
    evaluation.posterior.push_back(metric.of ? metric.of(image, context_) : std::nullopt);
  return evaluation;
}

Summary::Summary(std::size_t quality, std::size_t posterior)
    : quality_(quality, std::vector<MeanOverImages>(Scores::columns().size())), posterior_(posterior) {}

void Summary::add(const ImageEvaluation& image) {
  ++images_;
  for (std::size_t m = 0; m < quality_.size(); ++m) {
    for (std::size_t c = 0; c < Scores::columns().size(); ++c) {
      if (const auto& value = image.quality[m].*Scores::columns()[c].field) quality_[m][c].add(*value, 1.0);
    }
  }
  for (std::size_t m = 0; m < posterior_.size(); ++m) {
    if (const auto& value = image.posterior[m]) posterior_[m].add(value->value, value->weight);
  }
  if (image.ranks.empty()) return;
  if (ranks_.empty() || ranks_.front().size() == image.ranks.size()) ranks_.push_back(image.ranks);
}

const MeanOverImages& Summary::quality(std::size_t metric, std::size_t column) const {
  return quality_[metric][column];
}

const MeanOverImages& Summary::posterior(std::size_t metric) const {
  return posterior_[metric];
}

std::vector<MeanOverImages> Summary::ranks() const {
  if (ranks_.empty()) return {};
  std::vector<MeanOverImages> bins(ranks_.front().size());
  for (const std::vector<double>& shares : ranks_)
    for (std::size_t b = 0; b < shares.size(); ++b) bins[b].add(shares[b]);
  return bins;
}

std::optional<double> Summary::evenness() const {
  return dwgf::evenness(ranks_);
}

ExitCode evaluate_command(Collective& world, const Settings& settings) {
  const std::string& path = settings.positionals.front();
  const EvaluateInput& input = settings.as<EvaluateInput>();
  const std::string& weights = input.fid;
  const Scores fid = weights.empty() ? Scores() : frechet_scores(world, path, input.judge.truth, weights);
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() == 0) print_evaluation(path, input, fid);
  });
  return ExitCode::ok;
}

}  // namespace dwgf
