#include "report/report_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include <kainjow/mustache.hpp>

#include <dwgf/base/text.hpp>
#include <dwgf/flow/diagnostics.hpp>

#include "report/html.hpp"
#include "report/report_template.hpp"
#include "report/svg_plot.hpp"
#include "service/launcher.hpp"

namespace dwgf {

namespace {

using Value = kainjow::mustache::data;
using Fields = kainjow::mustache::object;
using List = kainjow::mustache::list;
using All = std::vector<ReportData>;

/// A text that a section of the template asks for: an empty one is not there.
Value if_any(const std::string& text) {
  return text.empty() ? Value(false) : Value(text);
}

std::string number(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return std::isfinite(value) ? text : "-";
}

std::string number(const std::optional<double>& value, int digits) {
  return value ? number(*value, digits) : "-";
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

/// A mean with its standard error over images.
std::string number(const MeanOverImages& mean, int digits) {
  const std::optional<double> error = mean.error();
  return number(mean.value(), digits) + (error ? " \u00b1 " + number(*error, digits) : "");
}

std::string counted(std::int64_t count, const char* one, const char* many) {
  return formatted("{} {}", count, count == 1 ? one : many);
}

bool alone(const All& all) {
  return all.size() == 1;
}

/// What a line about one of several results begins with.
std::string of(const ReportData& data) {
  return data.label.empty() ? "" : data.label + ": ";
}

std::string attribute(const ReportData& data, const std::string& name) {
  const auto found = data.attributes.find(name);
  return found == data.attributes.end() || found->second.empty() ? "not recorded" : found->second;
}

/// "of 3 images" or what was sampled.
std::string sampled(const ReportData& data) {
  if (data.summary.images() == data.done) return counted(data.done, "image", "images");
  return formatted("{} of {} images, evenly spaced", data.summary.images(), data.done);
}

std::string of_problem(const ReportData& data) {
  return formatted("{}, sigma {}", data.words.forward, data.words.sigma);
}

// --- Tables and plots ---

struct Row {
  std::string head;
  std::vector<std::string> cells;
  bool ours = false;
  std::string note = {};  ///< small, below the head
};

/// `words`: columns (from 0, beside the row's head) of text.
Fields table(const std::string& id, const std::string& caption, const std::vector<std::string>& heads,
             const std::vector<Row>& rows, const std::set<std::size_t>& words = {}) {
  List columns, lines;
  for (std::size_t k = 0; k < heads.size(); ++k)
    columns.push_back(Fields{{"text", heads[k]}, {"words", k == 0 || words.contains(k - 1)}});
  for (const Row& row : rows) {
    List cells;
    for (std::size_t k = 0; k < row.cells.size(); ++k)
      cells.push_back(Fields{{"text", row.cells[k]}, {"words", words.contains(k)}});
    lines.push_back(
        Fields{{"head", row.head}, {"note", if_any(row.note)}, {"ours", row.ours}, {"cells", cells}});
  }
  return {{"id", id}, {"caption", caption}, {"heads", columns}, {"rows", lines}};
}

/// A table, and none where there are no rows.
Value table_if_any(const std::string& id, const std::string& caption, const std::vector<std::string>& heads,
                   const std::vector<Row>& rows, const std::set<std::size_t>& words = {}) {
  return rows.empty() ? Value(false) : Value(table(id, caption, heads, rows, words));
}

/// The drawing, and none where there is nothing to draw.
List plots(const Plot& plot) {
  const std::string svg = svg_of(plot);
  return svg.empty() ? List{} : List{Fields{{"caption", plot.title}, {"svg", svg}}};
}

// --- Summary: how good it is ---

Row quality_row(const ReportData& data, const std::string& head, std::size_t column, bool ours) {
  Row row{head, {}, ours};
  for (std::size_t m = 0; m < data.quality.size(); ++m)
    row.cells.push_back(number(data.summary.quality(m, column), data.quality[m].digits));
  return row;
}

/// Whether the posterior mean is at least as good as what costs nothing, by the first metric that is known of
/// both: a result that loses is not set off.
bool wins(const ReportData& data) {
  for (std::size_t m = 0; m < data.quality.size(); ++m) {
    std::optional<double> mean, best;
    for (std::size_t c = 0; c < Scores::columns().size(); ++c) {
      const Scores::Column& column = Scores::columns()[c];
      const std::optional<double> value = data.summary.quality(m, c).value();
      const double sign = data.quality[m].larger_is_better ? 1.0 : -1.0;
      if (!value) continue;
      if (column.field == &Scores::mean) mean = sign * *value;
      if (column.field == &Scores::baseline || column.field == &Scores::linear_mmse)
        best = std::max(best.value_or(sign * *value), sign * *value);
    }
    if (mean && best) return *mean >= *best;
  }
  return true;
}

/// The estimate that the column holds, by the name of the method where that is known.
std::string title_of(const ReportData& data, const Scores::Column& column) {
  const bool baseline = column.field == &Scores::baseline && !data.baseline_name.empty();
  return baseline ? data.baseline_name : column.title;
}

Row posterior_row(const All& all, std::size_t m) {
  const PosteriorMetric& metric = all.front().posterior[m];
  Row row{metric.title, {}, false, metric.meaning};
  for (const ReportData& data : all)
    row.cells.push_back(number(data.summary.posterior(m), data.posterior[m].digits));
  return row;
}

std::vector<Row> posterior_rows(const All& all) {
  std::vector<Row> rows;
  for (std::size_t m = 0; m < all.front().posterior.size(); ++m) rows.push_back(posterior_row(all, m));
  return rows;
}

/// `first`, and every result's label.
std::vector<std::string> labelled(const std::string& first, const All& all) {
  std::vector<std::string> heads = {first};
  for (const ReportData& data : all) heads.push_back(data.label);
  return heads;
}

List summary_of_one(const All& all) {
  const ReportData& data = all.front();
  std::vector<std::string> heads = {"estimate"};
  for (const QualityMetric& metric : data.quality) heads.push_back(metric.title);
  std::vector<Row> rows;
  for (std::size_t c = 0; c < Scores::columns().size(); ++c) {
    const Scores::Column& column = Scores::columns()[c];
    rows.push_back(quality_row(data, title_of(data, column), c, column.field == &Scores::mean && wins(data)));
  }
  return {
      table("quality",
            formatted("Quality of the estimates, means over {} \u00b1 standard errors; -: does not apply",
                      sampled(data)),
            heads, rows),
      table("posterior",
            formatted("The posterior, means over {} \u00b1 standard errors over images; coverage over pixels",
                      sampled(data)),
            {"metric", "value"}, posterior_rows(all))};
}

/// Of a comparison's first table; the others are in the second one.
bool is_headline(const PosteriorMetric& metric) {
  return metric.name == "crps" || metric.name == "coverage" || metric.name == "seconds";
}

/// One line of a comparison; `ours`: the posterior mean.
Row compared(const ReportData& data, const std::string& head, std::size_t column, bool ours) {
  Row row = quality_row(data, head, column, ours && wins(data));
  for (std::size_t m = 0; m < data.posterior.size(); ++m) {
    if (is_headline(data.posterior[m]))
      row.cells.push_back(ours ? number(data.summary.posterior(m), data.posterior[m].digits) : "-");
  }
  row.cells.push_back(formatted("{}", data.summary.images()));
  row.note = of_problem(data);
  return row;
}

bool same_problem(const ReportData& a, const ReportData& b) {
  return of_problem(a) == of_problem(b) && a.words.data == b.words.data;
}

/// A problem's lines: what costs nothing, then every result of it.
void add_problem(const ReportData& problem, const All& all, std::vector<Row>& rows) {
  std::size_t mean = 0;
  for (std::size_t c = 0; c < Scores::columns().size(); ++c) {
    const Scores::Column& column = Scores::columns()[c];
    if (column.field == &Scores::mean) mean = c;
    if (column.field != &Scores::baseline && column.field != &Scores::linear_mmse) continue;
    bool any = false;
    for (std::size_t m = 0; m < problem.quality.size(); ++m)
      any = any || problem.summary.quality(m, c).value();
    if (any) rows.push_back(compared(problem, title_of(problem, column), c, false));
  }
  for (const ReportData& data : all)
    if (same_problem(data, problem)) rows.push_back(compared(data, data.label, mean, true));
}

List summary_of_several(const All& all) {
  const ReportData& first = all.front();
  std::vector<std::string> heads = {"method"};
  for (const QualityMetric& metric : first.quality) heads.push_back(metric.title);
  for (const PosteriorMetric& metric : first.posterior)
    if (is_headline(metric)) heads.push_back(metric.title);
  heads.push_back("images");

  std::vector<Row> rows;
  for (auto data = all.begin(); data != all.end(); ++data) {
    if (std::none_of(all.begin(), data,
                     [&](const ReportData& earlier) { return same_problem(earlier, *data); }))
      add_problem(*data, all, rows);
  }
  return {table("comparison",
                "Posterior means (bold where none of them is better) beside what costs nothing; means over "
                "images \u00b1 standard errors, "
                "coverage "
                "over pixels; -: does not apply",
                heads, rows),
          table("posterior", "The posteriors", labelled("metric", all), posterior_rows(all))};
}

// --- What was solved ---

/// The options in which several jobs differ.
Value differences(const All& all) {
  std::vector<Row> rows;
  for (const OptionSpec& option : all.front().job.command().options) {
    Row row{option.key, {}};
    std::set<std::string> values;
    for (const ReportData& data : all) {
      row.cells.push_back(data.job.text(option.key));
      values.insert(row.cells.back());
    }
    if (values.size() > 1 && option.key != "store.out") rows.push_back(row);
  }
  std::set<std::size_t> words;
  for (std::size_t k = 0; k < all.size(); ++k) words.insert(k);
  return table_if_any("differences", "Options in which the results differ", labelled("option", all), rows,
                      words);
}

Fields options(const ReportData& data) {
  const Settings defaults(data.job.command());
  std::vector<Row> rows;
  for (const OptionSpec& option : data.job.command().options) {
    const std::string value = data.job.text(option.key);
    if (option.kind != OptionKind::flag && value != defaults.text(option.key))
      rows.push_back({option.key, {value, option.default_value.empty() ? "none" : option.default_value}});
  }
  return table("options-" + data.label, "Effective options; all others have their defaults",
               {"option", "value", "default"}, rows, {0, 1});
}

// --- Whether the spread can be trusted ---

std::string about_intervals(const ReportData& data) {
  const PosteriorContext& context = data.context;
  const double attainable = attainable_level(context.particles, context.lower, context.upper);
  std::string text = formatted("{} % intervals", 100 * context.level());
  if (attainable < context.level() - 1e-9)
    text += formatted(", of which {} that are exchangeable with the truth cover {} on average",
                      counted(context.particles, "particle", "particles"), percent(attainable));
  if (context.decoder_error > 0)
    text += formatted(", widened for a decoder's error of {}", number(context.decoder_error, 4));
  return text;
}

/// In percent, with its standard error.
std::string share(const MeanOverImages& mean) {
  if (!mean.value()) return "-";
  const std::optional<double> error = mean.error();
  return error ? formatted("{} \u00b1 {} %", number(100 * *mean.value(), 1), number(100 * *error, 1))
               : percent(*mean.value());
}

Row coverage_row(const ReportData& data) {
  Row row{data.label.empty() ? data.words.method : data.label, {}, false, about_intervals(data)};
  for (std::size_t m = 0; m < data.posterior.size(); ++m) {
    if (!data.posterior[m].name.starts_with("coverage")) continue;
    row.cells.push_back(share(data.summary.posterior(m)));
  }
  return row;
}

/// A point with its band of two standard errors.
void add_mean(PlotSeries& series, double x, const MeanOverImages& mean, double scale) {
  const double value = scale * mean.value().value_or(0.0), room = 2 * scale * mean.error().value_or(0.0);
  series.points.push_back({x, value});
  series.band.push_back({value - room, value + room});
}

/// Where the truth stands among the particles; none where no image says so.
List rank_histogram(const All& all) {
  Plot plot{.title = "Ranks of the truth among the particles",
            .description = "",
            .x_label = "rank, as a share of N [%]",
            .y_label = "pixels / even share",
            .x_range = std::pair(0.0, 100.0)};
  plot.horizontal = 1.0;
  for (const ReportData& data : all) {
    const std::vector<MeanOverImages> bins = data.summary.ranks();
    PlotSeries series{alone(all) ? "observed" : data.label, {}, {}, true, true};
    for (std::size_t b = 0; b < bins.size(); ++b) {
      const auto count = static_cast<double>(bins.size());
      add_mean(series, 100 * (static_cast<double>(b) + 0.5) / count, bins[b], count);
    }
    if (bins.empty()) continue;
    plot.series.push_back(series);
    plot.description +=
        formatted("{}from {} of the even share at the lowest rank to {} at the highest. ", of(data),
                  number(series.points.front().second, 2), number(series.points.back().second, 2));
  }
  return plots(plot);
}

/// "chance alone makes ranks as uneven in a share of 0.002"
std::string evenness_words(const All& all) {
  std::string text;
  for (const ReportData& data : all)
    if (const auto p = data.summary.evenness())
      text += formatted("{}{}p = {}", text.empty() ? "" : ", ", of(data), number(*p, 3));
  return text;
}

/// "0.02 to 0.04"
std::string class_words(const ReliabilityClass& one) {
  return std::isfinite(one.upper) ? formatted("{} to {}", number(one.lower, 2), number(one.upper, 2))
                                  : formatted("{} or more", number(one.lower, 2));
}

/// Pixels by what their standard deviation is said to be; none where no truth is known.
Value reliability(const All& all) {
  std::vector<Row> rows;
  for (const ReportData& data : all) {
    double pixels = 0.0;
    for (const ReliabilityClass& one : data.reliability) pixels += static_cast<double>(one.pixels);
    for (const ReliabilityClass& one : data.reliability) {
      const auto root = [](const MeanOverImages& mean) { return std::sqrt(mean.value().value_or(0.0)); };
      rows.push_back(
          {of(data) + class_words(one),
           {percent(static_cast<double>(one.pixels) / pixels), number(root(one.squared_deviation), 3),
            number(root(one.squared_error), 3), share(one.inside)},
           false,
           ""});
    }
  }
  if (rows.empty()) return false;
  return table("reliability",
               "Inner pixels by their predicted standard deviation: where the spread can be trusted pixel by "
               "pixel, predicted and found errors agree in every line",
               {"standard deviation", "of all pixels", "predicted error", "found error", "inside"}, rows);
}

Value coverage(const All& all) {
  std::vector<Row> rows;
  Plot plot{.title = "Coverage of central intervals",
            .description = "",
            .x_label = "nominal level [%]",
            .y_label = "pixels inside [%]",
            .diagonal = true,
            .x_range = std::pair(0.0, 100.0),
            .y_range = std::pair(0.0, 100.0)};
  std::int64_t fewest = all.front().context.particles;
  for (const ReportData& data : all) {
    Row row = coverage_row(data);
    const auto known = [](const std::string& cell) { return cell != "-"; };
    if (std::any_of(row.cells.begin(), row.cells.end(), known)) rows.push_back(std::move(row));
    PlotSeries series{alone(all) ? "observed" : data.label, {}, {}, true, true};
    for (const auto& [nominal, observed] : data.coverage) {
      add_mean(series, 100 * nominal, observed, 100);
      plot.description +=
          formatted("{}{} % nominal, {} observed. ", of(data), number(100 * nominal, 0), share(observed));
    }
    plot.series.push_back(series);
    fewest = std::min(fewest, data.context.particles);
  }
  if (rows.empty()) return false;
  plot.vertical = 100 * attainable_level(fewest, 1e-9, 1 - 1e-9);
  Fields fields = table(
      "coverage",
      "Pixels whose truth lies in their interval; clipped pixels are those with |truth| of at least 0.99",
      {"results", "inner pixels", "clipped pixels"}, rows);
  fields["plots"] = plots(plot);
  fields["ranks"] = rank_histogram(all);
  fields["evenness"] = if_any(evenness_words(all));
  return fields;
}

// --- Pictures ---

/// The numbers of one image, in a line.
std::string facts(const ReportData& data, const ImageEvaluation& image) {
  std::string text;
  const auto add = [&](const std::string& title, double value, int digits) {
    text += formatted("{}{} {}", text.empty() ? "" : ", ", title, number(value, digits));
  };
  for (std::size_t m = 0; m < image.quality.size(); ++m)
    if (const auto& value = image.quality[m].mean) add(data.quality[m].title, *value, data.quality[m].digits);
  for (std::size_t m = 0; m < image.posterior.size(); ++m) {
    const PosteriorMetric& metric = data.posterior[m];
    if (image.posterior[m] && (is_headline(metric) || metric.name == "chi_squared"))
      add(metric.title, image.posterior[m]->value, metric.digits);
  }
  return text;
}

/// One image as one of the files has it.
Fields pictures_of(const ReportData& data, const ShownImage& shown) {
  List pictures;
  for (const Picture& picture : shown.pictures) {
    const std::string alt =
        formatted("{} of {}{}{}, {} x {} pixels", picture.caption, shown.evaluation.name,
                  data.label.empty() ? "" : ", results ", data.label, picture.width, picture.height);
    pictures.push_back(Fields{{"uri", picture.uri},
                              {"alt", alt},
                              {"small", std::max(picture.height, picture.width) < 128},
                              {"caption", picture.caption}});
  }
  return {{"of", of(data)}, {"facts", facts(data, shown.evaluation)}, {"pictures", pictures}};
}

List shown_images(const All& all) {
  List images;
  for (const ShownImage& shown : all.front().shown) {
    List results;
    for (const ReportData& data : all) {
      for (const ShownImage& own : data.shown)
        if (own.evaluation.id == shown.evaluation.id) results.push_back(pictures_of(data, own));
    }
    const std::string& name = shown.evaluation.name;
    images.push_back(Fields{{"name", name.empty() ? formatted("row {}", shown.row) : name},
                            {"row", formatted("{}", shown.row)},
                            {"why", if_any(shown.why)},
                            {"prompt", if_any(shown.prompt)},
                            {"results", results}});
  }
  return images;
}

// --- Diagnostics ---

/// Medians and bands of every result's records; none where the quantity is 0 throughout.
List curves(const All& all, const std::string& name, const std::string& title, const std::string& unit,
            bool log_y) {
  Plot plot{.title = title, .description = "", .x_label = "step", .y_label = unit, .log_y = log_y};
  bool varies = false;
  for (const ReportData& data : all) {
    PlotSeries series{data.label, {}, {}};
    if (const auto found = data.curves.find(name); found != data.curves.end()) {
      const Curve& curve = found->second;
      for (std::size_t k = 0; k < curve.median.size() && k < data.steps.size(); ++k) {
        series.points.push_back({static_cast<double>(data.steps[k]), curve.median[k]});
        series.band.push_back({curve.lower[k], curve.upper[k]});
        varies = varies || (std::isfinite(curve.upper[k]) && curve.upper[k] != 0.0);
      }
      if (!series.points.empty())
        plot.description +=
            formatted("{}from {} to {}. ", of(data), curve.median.front(), curve.median.back());
    }
    plot.series.push_back(series);
  }
  return varies ? plots(plot) : List{};
}

List diagnostics(const All& all) {
  List drawings;
  std::set<std::string> drawn;
  const auto draw = [&](const std::string& name, const std::string& title, const std::string& unit,
                        bool log_y) {
    if (!drawn.insert(name).second) return;
    for (const Value& plot : curves(all, name, title, unit, log_y)) drawings.push_back(plot);
  };
  for (const Diagnostic& row : diagnostic_rows())
    draw(std::string(row.name), std::string(row.title), std::string(row.unit), row.log_scale);
  for (const ReportData& data : all)
    for (const auto& [name, curve] : data.curves) draw(name, name, "value", false);
  return drawings;
}

// --- Time, the worst, and what failed ---

Value groups(const All& all) {
  std::vector<Row> rows;
  for (const ReportData& data : all) {
    for (const auto& [group, timing] : data.groups) {
      if (rows.size() == 64) break;
      const auto images = static_cast<double>(timing.images);
      rows.push_back(
          {formatted("{}{}group {}", data.label, alone(all) ? "" : ", ", group),
           {formatted("{}", timing.images), number(timing.seconds / images, 2), number(timing.slowest, 2),
            percent(timing.seconds > 0 ? timing.waited / timing.seconds : 0.0)}});
    }
  }
  return table_if_any("groups",
                      "Seconds an image by group of ranks; waited: the share spent waiting for the group's "
                      "other ranks. A job that was interrupted counts its groups anew",
                      {"ranks", "images", "mean [s]", "slowest [s]", "waited"}, rows);
}

Value time_parts(const All& all) {
  std::vector<Row> rows;
  for (const ReportData& data : all) {
    for (const TimeShare& part : data.shares.parts) {
      rows.push_back({formatted("{}{}{}", data.label, alone(all) ? "" : ", ", part.name),
                      {number(part.seconds, 2), percent(part.seconds / data.shares.seconds)}});
    }
    if (!data.shares.parts.empty()) {
      rows.push_back(
          {formatted("{}{}time of processors", data.label, alone(all) ? "" : ", "),
           {number(data.shares.processors, 2), percent(data.shares.processors / data.shares.seconds)}});
    }
  }
  return table_if_any(
      "parts",
      "Where the time of an image went, in the mean over ranks and images; vjp: what is pulled back "
      "through the networks. On a device: the time in which its host queued that work",
      {"part", "seconds", "share"}, rows);
}

List seconds_by_row(const All& all) {
  Plot plot{
      .title = "Seconds an image", .description = "", .x_label = "row of the image", .y_label = "seconds"};
  for (const ReportData& data : all) {
    plot.series.push_back({data.label, data.seconds_by_row, {}, false, true});
    if (!data.slowest.empty())
      plot.description += formatted("{}slowest {} s. ", of(data), number(data.slowest.front().value, 2));
  }
  return plots(plot);
}

Value ranked(const std::string& id, const std::string& caption, const std::string& unit,
             const std::vector<RankedImage>& images, int digits) {
  std::vector<Row> rows;
  for (const RankedImage& image : images)
    rows.push_back({formatted("row {}", image.row), {image.name, number(image.value, digits)}});
  return table_if_any(id, caption, {"image", "name", unit}, rows, {0});
}

Value failures(const ReportData& data) {
  if (data.failed == 0) return false;
  std::vector<Row> rows;
  for (const auto& [name, reason] : data.failures) rows.push_back({name, {reason}});
  const bool cut = data.failed > static_cast<std::int64_t>(rows.size());
  return table("failures-" + data.label,
               formatted("{}{} failed{}", of(data), counted(data.failed, "image", "images"),
                         cut ? formatted("; the first {}", rows.size()) : ""),
               {"image", "reason"}, rows, {0});
}

List verdicts(const ReportData& data) {
  List list;
  for (const Verdict& verdict : data.verdicts) {
    list.push_back(Fields{{"severity", word_for(verdict.severity)},
                          {"code", verdict.code},
                          {"text", of(data) + verdict.text},
                          {"advice", verdict.advice}});
  }
  return list;
}

/// What the page says of one results file beside its pictures.
Fields result(const ReportData& data) {
  const JobWords& job = data.words;
  const std::int64_t left = data.total - data.done - data.failed;
  return {
      {"label", if_any(data.label)},
      {"of", of(data)},
      {"verdicts", verdicts(data)},
      {"heading", data.label.empty() ? "Job" : data.label},
      {"images", counted(data.total, "image", "images")},
      {"total", formatted("{}", data.total)},
      {"done", formatted("{}", data.done)},
      {"failed", formatted("{}", data.failed)},
      {"any_failed", data.failed > 0},
      {"left", formatted("{}", left)},
      {"undone", if_any(left > 0 ? counted(left, "image is", "images are") : "")},
      {"partly", data.summary.images() < data.done},
      {"sampled", sampled(data)},
      {"problem", of_problem(data)},
      {"operator", job.forward},
      {"noise", job.noise},
      {"sigma", job.sigma},
      {"data", job.data},
      {"prior", job.prior},
      {"prompt", if_any(job.prompt)},
      {"method", job.method},
      {"objective", job.objective},
      {"preset", job.preset},
      {"particles", counted(data.job.as<JobInput>().method.options.particles, "particle", "particles")},
      {"interaction", job.interaction},
      {"steps", formatted("{}", data.steps.empty() ? 0 : data.steps.back() + 1)},
      {"precision", job.precision},
      {"seed", job.seed},
      {"options", options(data)},
      {"slowest",
       ranked("slowest-" + data.label, of(data) + "The slowest images", "seconds", data.slowest, 2)},
      {"worst", ranked("worst-" + data.label, formatted("{}The worst images, by {}", of(data), data.worst_by),
                       "value", data.worst, 3)},
      {"failures", failures(data)},
      {"path", data.path},
      {"version", attribute(data, "version")},
      {"prior_sha256", attribute(data, "prior_sha256")},
      {"system", attribute(data, "system")},
      {"job", attribute(data, "job")},
  };
}

std::string title(const All& all) {
  const std::string& path = all.front().path;
  return alone(all) ? "Results: " + path.substr(path.find_last_of('/') + 1)
                    : formatted("Comparison of {} results", all.size());
}

}  // namespace

std::string report_page(const std::vector<ReportData>& all) {
  List results;
  std::int64_t curve_images = all.front().curve_images, failed = 0;
  bool any_verdict = false;
  for (const ReportData& data : all) {
    results.push_back(result(data));
    curve_images = std::min(curve_images, data.curve_images);
    failed += data.failed;
    any_verdict = any_verdict || !data.verdicts.empty();
  }
  const Fields fields = {
      {"title", title(all)},
      {"alone", alone(all)},
      {"results", results},
      {"summary", alone(all) ? summary_of_one(all) : summary_of_several(all)},
      {"differences", alone(all) ? Value(false) : differences(all)},
      {"coverage", coverage(all)},
      {"reliability", reliability(all)},
      {"shown", shown_images(all)},
      {"curve_images", counted(curve_images, "image", "images")},
      {"diagnostics", diagnostics(all)},
      {"groups", groups(all)},
      {"parts", time_parts(all)},
      {"seconds", seconds_by_row(all)},
      {"any_failed", failed > 0},
      {"any_verdict", any_verdict},
      {"program_version", version()},
      {"table", kReportTable},
  };
  kainjow::mustache::mustache page{std::string(kReportPage)};
  page.set_custom_escape([](const std::string& text) { return escaped(text); });
  std::string text = page.render(fields);
  if (!page.is_valid()) throw InternalError("the report's template: " + page.error_message());
  return text;
}

}  // namespace dwgf
