#include "report/report_page.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <set>

#include <dwgf/base/text.hpp>

#include "report/html.hpp"
#include "report/svg_plot.hpp"
#include "service/launcher.hpp"

namespace dwgf {

namespace {

using All = std::vector<ReportData>;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5b6068; --paper: #ffffff; --panel: #f4f5f7; --line: #d4d7dc;
  --s0: #1f5fb4; --s1: #b8460e; --s2: #17734a; --s3: #7b3fa0; --s4: #8a6500; --s5: #a8245b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ec; --soft: #a3a9b2; --paper: #15171a; --panel: #202327; --line: #3b4047;
    --s0: #7db2f5; --s1: #f2a071; --s2: #6fd0a1; --s3: #cda3ea; --s4: #e0bd5b; --s5: #f093b8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; } footer { padding-bottom: 2rem; color: var(--soft); }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .4rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; } p { margin: .4rem 0 .8rem; max-width: 50rem; }
a { color: var(--s0); } nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; margin: .8rem 0; }
.soft { color: var(--soft); } .table { overflow-x: auto; margin: .8rem 0 1.2rem; max-width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(50rem, calc(100vw - 2.2rem)); }
th small { display: block; font-weight: 400; color: var(--soft); max-width: 34rem; overflow-wrap: anywhere; }
.side { display: flex; flex-wrap: wrap; gap: 0 3rem; }
th, td { text-align: right; padding: .25rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: normal; }
th[scope=row], td.words { text-align: left; } td.words { overflow-wrap: anywhere; min-width: 9rem; }
th { font-weight: 600; } thead th { border-bottom-width: 2px; } tr.ours th, tr.ours td { font-weight: 700; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .2rem 1rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
pre { background: var(--panel); padding: .8rem; overflow-x: auto; font-size: .85rem; line-height: 1.4; overflow-wrap: normal; }
code { font-size: .9em; } summary { cursor: pointer; padding: .3rem 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1.2rem; }
figure { margin: 0; min-width: 0; } figcaption { font-size: .85rem; color: var(--soft); line-height: 1.35; }
.plots figcaption { color: var(--ink); margin-bottom: .2rem; }
.plot { width: 100%; max-width: 34rem; height: auto; display: block; } .plot text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.axis { stroke: var(--soft); } .grid { stroke: var(--line); stroke-width: .6; } .guide { stroke: var(--soft); stroke-dasharray: 2 3; }
.curve { fill: none; stroke-width: 1.8; } .band { stroke: none; opacity: .18; } .mark { stroke: none; }
.legend { list-style: none; padding: 0; margin: .2rem 0; display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .85rem; }
.key { width: 28px; height: 10px; }
.curve.series-0 { stroke: var(--s0); } .curve.series-1 { stroke: var(--s1); stroke-dasharray: 6 3; }
.curve.series-2 { stroke: var(--s2); stroke-dasharray: 2 2; } .curve.series-3 { stroke: var(--s3); stroke-dasharray: 9 3 2 3; }
.curve.series-4 { stroke: var(--s4); stroke-dasharray: 12 4; } .curve.series-5 { stroke: var(--s5); stroke-dasharray: 4 2 1 2; }
.band.series-0, .mark.series-0 { fill: var(--s0); } .band.series-1, .mark.series-1 { fill: var(--s1); }
.band.series-2, .mark.series-2 { fill: var(--s2); } .band.series-3, .mark.series-3 { fill: var(--s3); }
.band.series-4, .mark.series-4 { fill: var(--s4); } .band.series-5, .mark.series-5 { fill: var(--s5); }
.image { border-top: 1px solid var(--line); padding: .2rem 0 1rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(94px, 1fr)); gap: .4rem; max-width: 72rem; }
.pictures { margin-bottom: .8rem; } .pictures figcaption { font-size: .8rem; }
.pictures img { width: 100%; max-width: 256px; height: auto; display: block; background: var(--panel); }
.pictures img.small { image-rendering: pixelated; }
)";

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

std::string counted(std::int64_t count, const char* one, const char* many) {
  return concat(count, " ", count == 1 ? one : many);
}

bool alone(const All& all) {
  return all.size() == 1;
}

std::string attribute(const ReportData& data, const std::string& name) {
  const auto found = data.attributes.find(name);
  return found == data.attributes.end() || found->second.empty() ? "not recorded" : found->second;
}

/// "of 3 images" or what was sampled.
std::string sampled(const ReportData& data) {
  if (data.summary.images() == data.done) return counted(data.done, "image", "images");
  return concat(data.summary.images(), " of ", data.done, " images, evenly spaced");
}

std::string of_problem(const ReportData& data) {
  return concat(data.job.text("problem.operator"), ", sigma ", data.job.text("problem.sigma"));
}

struct Row {
  std::string head;
  std::vector<std::string> cells;
  bool ours = false;
  std::string note = {};  ///< small, below the head
};

/// A table whose overflow scrolls inside of it; `words`: columns (from 0, beside the row's head) of text.
void table(Html& page, const std::string& id, const std::string& caption,
           const std::vector<std::string>& heads, const std::vector<Row>& rows,
           const std::set<std::size_t>& words = {}) {
  page.open("div", {{"class", "table"}, {"role", "region"}, {"aria-labelledby", id}, {"tabindex", "0"}})
      .open("table");
  page.open("caption", {{"id", id}}).element("span", caption).close();
  page.open("thead").open("tr");
  for (std::size_t k = 0; k < heads.size(); ++k) {
    Html::Attributes attributes = {{"scope", "col"}};
    if (k == 0 || words.contains(k - 1)) attributes.push_back({"style", "text-align: left"});
    page.element("th", heads[k], attributes);
  }
  page.close().close().open("tbody");
  for (const Row& row : rows) {
    page.open("tr", row.ours ? Html::Attributes{{"class", "ours"}} : Html::Attributes{});
    page.open("th", {{"scope", "row"}}).text(row.head);
    if (!row.note.empty()) page.element("small", row.note);
    page.close();
    for (std::size_t k = 0; k < row.cells.size(); ++k)
      page.element("td", row.cells[k],
                   words.contains(k) ? Html::Attributes{{"class", "words"}} : Html::Attributes{});
    page.close();
  }
  page.close().close().close();
}

void term(Html& page, const std::string& name, const std::string& value) {
  page.element("dt", name).element("dd", value);
}

void plot(Html& page, const std::string& caption, const Plot& plot) {
  const std::string svg = svg_of(plot);
  if (svg.empty()) return;
  page.open("figure").element("figcaption", caption).raw(svg).close();
}

// --- What was solved ---

void solved(Html& page, const ReportData& data, const std::string& heading) {
  const Settings& job = data.job;
  page.element("h3", heading);
  page.open("dl");
  term(page, "Problem",
       concat("y = A(x) + noise with A = ", job.text("problem.operator"), "; noise ",
              job.text("problem.noise"), ", standard deviation ", job.text("problem.sigma"),
              " on the [-1, 1] scale"));
  term(page, "Images",
       concat(job.text("input.data"), ": ", data.done, " of ", data.total, " restored, ", data.failed,
              " failed, ", data.total - data.done - data.failed, " left"));
  std::string prior = job.text("prior.path");
  if (!job.text("prior.prompt").empty()) prior += concat(", prompt \"", job.text("prior.prompt"), "\"");
  term(page, "Prior", prior);
  term(page, "Flow",
       concat("method ", job.text("flow.method"), ", objective ", job.text("flow.objective"), ", preset ",
              job.text("flow.preset"), ": ", counted(job.integer("flow.particles"), "particle", "particles"),
              ", interaction ", job.text("flow.interaction"), ", at most ",
              data.steps.empty() ? 0 : data.steps.back() + 1, " steps, precision ",
              job.text("flow.precision"), ", seed ", job.text("flow.seed")));
  page.close();

  const Settings defaults(job.command());
  std::vector<Row> rows;
  for (const OptionSpec& option : job.command().options) {
    if (option.kind == OptionKind::flag || job.text(option.key) == defaults.text(option.key)) continue;
    rows.push_back(
        {option.key, {job.text(option.key), option.default_value.empty() ? "none" : option.default_value}});
  }
  page.open("details").element("summary", "Options that differ from their defaults");
  table(page, "options-" + data.label, "Effective options; all others have their defaults",
        {"option", "value", "default"}, rows, {0, 1});
  page.close();
}

/// The options in which several jobs differ.
void differences(Html& page, const All& all) {
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
  if (rows.empty()) return;
  std::vector<std::string> heads = {"option"};
  std::set<std::size_t> words;
  for (const ReportData& data : all) {
    words.insert(words.size());
    heads.push_back(data.label);
  }
  table(page, "differences", "Options in which the results differ", heads, rows, words);
}

// --- How good it is ---

void summary_of_one(Html& page, const ReportData& data) {
  std::vector<std::string> heads = {"estimate"};
  for (const QualityMetric& metric : data.quality) heads.push_back(metric.title);
  std::vector<Row> rows;
  for (std::size_t c = 0; c < Scores::columns().size(); ++c) {
    const Scores::Column& column = Scores::columns()[c];
    const bool baseline = column.field == &Scores::baseline && !data.baseline_name.empty();
    Row row{baseline ? data.baseline_name : column.title, {}, column.field == &Scores::mean};
    for (std::size_t m = 0; m < data.quality.size(); ++m)
      row.cells.push_back(number(data.summary.quality(m, c), data.quality[m].digits));
    rows.push_back(row);
  }
  table(page, "quality",
        concat("Quality of the estimates, means over ", sampled(data), "; -: does not apply"), heads, rows);

  rows.clear();
  for (std::size_t m = 0; m < data.posterior.size(); ++m)
    rows.push_back({data.posterior[m].title,
                    {number(data.summary.posterior(m), data.posterior[m].digits)},
                    false,
                    data.posterior[m].meaning});
  table(page, "posterior", concat("The posterior, means over ", sampled(data), "; coverage over pixels"),
        {"metric", "value"}, rows);
}

/// Of a comparison's first table; the others are in the second one.
bool is_headline(const PosteriorMetric& metric) {
  return metric.name == "crps" || metric.name == "coverage" || metric.name == "seconds";
}

void summary_of_several(Html& page, const All& all) {
  const ReportData& first = all.front();
  std::vector<std::string> heads = {"method"};
  for (const QualityMetric& metric : first.quality) heads.push_back(metric.title);
  for (const PosteriorMetric& metric : first.posterior)
    if (is_headline(metric)) heads.push_back(metric.title);
  heads.push_back("images");

  std::vector<Row> rows;
  const auto estimate = [&](const ReportData& data, Row row, std::size_t c) {
    bool any = false;
    for (std::size_t m = 0; m < data.quality.size(); ++m) {
      any = any || data.summary.quality(m, c);
      row.cells.push_back(number(data.summary.quality(m, c), data.quality[m].digits));
    }
    for (std::size_t m = 0; m < data.posterior.size(); ++m) {
      if (is_headline(data.posterior[m]))
        row.cells.push_back(row.ours ? number(data.summary.posterior(m), data.posterior[m].digits) : "-");
    }
    row.cells.push_back(concat(data.summary.images()));
    if (any || row.ours) rows.push_back(row);
  };
  const auto same_problem = [](const ReportData& a, const ReportData& b) {
    return of_problem(a) == of_problem(b) && a.job.text("input.data") == b.job.text("input.data");
  };
  for (std::size_t k = 0; k < all.size(); ++k) {
    const auto seen_before = [&](const ReportData& earlier) { return same_problem(earlier, all[k]); };
    if (std::any_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k), seen_before)) continue;
    // A problem: what costs nothing, then every result of it.
    for (std::size_t c = 0; c < Scores::columns().size(); ++c) {
      const Scores::Column& column = Scores::columns()[c];
      if (column.field != &Scores::baseline && column.field != &Scores::linear_mmse) continue;
      const bool baseline = column.field == &Scores::baseline && !all[k].baseline_name.empty();
      estimate(all[k], {baseline ? all[k].baseline_name : column.title, {}, false, of_problem(all[k])}, c);
    }
    for (const ReportData& data : all) {
      for (std::size_t c = 0; c < Scores::columns().size(); ++c)
        if (Scores::columns()[c].field == &Scores::mean && same_problem(data, all[k]))
          estimate(data, {data.label, {}, true, of_problem(data)}, c);
    }
  }
  table(page, "comparison",
        "Posterior means (bold) beside what costs nothing; means over images, coverage over pixels; "
        "-: does not apply",
        heads, rows);

  heads = {"metric"};
  for (const ReportData& data : all) heads.push_back(data.label);
  rows.clear();
  for (std::size_t m = 0; m < first.posterior.size(); ++m) {
    Row row{first.posterior[m].title, {}, false, first.posterior[m].meaning};
    for (const ReportData& data : all)
      row.cells.push_back(number(data.summary.posterior(m), data.posterior[m].digits));
    rows.push_back(row);
  }
  table(page, "posterior", "The posteriors", heads, rows);
}

// --- Whether the spread can be trusted ---

std::string about_intervals(const ReportData& data) {
  const PosteriorContext& context = data.context;
  const double attainable = attainable_level(context.particles, context.lower, context.upper);
  std::string text = concat(100 * context.level(), " % intervals");
  if (attainable < context.level() - 1e-9)
    text += concat(", of which ", counted(context.particles, "particle", "particles"), " alone can reach ",
                   percent(attainable), " at most");
  if (context.decoder_error > 0)
    text += concat(", widened for a decoder's error of ", number(context.decoder_error, 4));
  return text;
}

void calibration(Html& page, const All& all) {
  std::vector<Row> rows;
  Plot coverage{.title = "Coverage of central intervals",
                .description = "",
                .x_label = "nominal level [%]",
                .y_label = "pixels inside [%]",
                .diagonal = true,
                .x_range = std::pair(0.0, 100.0),
                .y_range = std::pair(0.0, 100.0)};
  std::int64_t fewest = all.front().context.particles;
  for (const ReportData& data : all) {
    Row row{data.label.empty() ? data.job.text("flow.method") : data.label, {}, false, about_intervals(data)};
    bool any = false;
    for (std::size_t m = 0; m < data.posterior.size(); ++m) {
      if (!data.posterior[m].name.starts_with("coverage")) continue;
      any = any || data.summary.posterior(m);
      row.cells.push_back(data.summary.posterior(m) ? percent(*data.summary.posterior(m)) : "-");
    }
    if (any) rows.push_back(row);
    PlotSeries series{alone(all) ? "observed" : data.label, {}, {}, true, true};
    for (const auto& [nominal, observed] : data.coverage) {
      series.points.push_back({100 * nominal, 100 * observed});
      coverage.description += concat(alone(all) ? "" : data.label + ": ", number(100 * nominal, 0),
                                     " % nominal, ", number(100 * observed, 1), " % observed. ");
    }
    coverage.series.push_back(series);
    fewest = std::min(fewest, data.context.particles);
  }
  if (rows.empty()) {
    page.element("p",
                 "The truth of these images is not known, so that intervals cannot be compared with it. What "
                 "can be judged "
                 "without it are the chi-squared values above: particles that follow the posterior leave a "
                 "residual of "
                 "the size of the noise, 1 on average.");
    return;
  }
  table(page, "coverage",
        "Pixels whose truth lies in their interval; clipped pixels are those with |truth| of at least 0.99",
        {"results", "inner pixels", "clipped pixels"}, rows);
  page.open("div", {{"class", "plots"}});
  coverage.vertical = 100 * attainable_level(fewest, 1e-9, 1 - 1e-9);
  plot(page,
       "Coverage: nominal against observed, inner pixels. On the diagonal the spread is as large as the "
       "errors; below it "
       "is too small. Particles alone reach no further than the dotted line.",
       coverage);
  page.close();
}

// --- Pictures ---

/// One image as one of the files has it.
void pictures_of(Html& page, const ReportData& data, const ShownImage& shown) {
  const ImageEvaluation& image = shown.evaluation;
  std::string facts;
  const auto add = [&](const std::string& title, double value, int digits) {
    facts += concat(facts.empty() ? "" : ", ", title, " ", number(value, digits));
  };
  for (std::size_t m = 0; m < image.quality.size(); ++m)
    if (const auto& value = image.quality[m].mean) add(data.quality[m].title, *value, data.quality[m].digits);
  for (std::size_t m = 0; m < image.posterior.size(); ++m) {
    const PosteriorMetric& metric = data.posterior[m];
    if (image.posterior[m] && (is_headline(metric) || metric.name == "chi_squared"))
      add(metric.title, image.posterior[m]->value, metric.digits);
  }
  page.element("p", concat(data.label, data.label.empty() ? "" : ": ", facts), {{"class", "soft"}});
  page.open("div", {{"class", "pictures"}});
  for (const Picture& picture : shown.pictures) {
    page.open("figure");
    Html::Attributes attributes = {
        {"src", picture.uri},
        {"alt", concat(picture.caption, " of ", image.name, data.label.empty() ? "" : ", results ",
                       data.label, ", ", picture.width, " x ", picture.height, " pixels")}};
    if (std::max(picture.height, picture.width) < 128) attributes.push_back({"class", "small"});
    page.empty("img", attributes).element("figcaption", picture.caption).close();
  }
  page.close();
}

void pictures(Html& page, const All& all) {
  const ReportData& first = all.front();
  page.element("p",
               "Standard deviations and errors are means over channels; white is 0.5 or more. Pictures "
               "larger than 256 "
               "pixels are shown smaller. Where a pixel's truth lies outside of its interval, it is white.");
  for (const ShownImage& shown : first.shown) {
    page.open("section", {{"class", "image"}});
    page.element("h3", shown.evaluation.name.empty() ? concat("row ", shown.row) : shown.evaluation.name);
    page.element("p", concat("row ", shown.row, shown.why.empty() ? "" : ", ", shown.why),
                 {{"class", "soft"}});
    for (const ReportData& data : all) {
      for (const ShownImage& own : data.shown)
        if (own.evaluation.id == shown.evaluation.id) pictures_of(page, data, own);
    }
    page.close();
  }
}

// --- Diagnostics ---

struct Quantity {
  const char* name;
  const char* title;
  const char* unit;
  bool log_y;
};

constexpr Quantity kQuantities[] = {
    {"misfit", "Misfit: |A(x) - y|^2 / (2 m), mean over particles", "misfit, [-1, 1] squared", true},
    {"data_gradient", "Data gradient", "root mean square", true},
    {"prior_gradient", "Prior gradient", "root mean square", true},
    {"neighbours", "Effective number of neighbours a particle", "particles", false},
    {"ensemble_mean", "The ensemble's mean latent", "root mean square", false},
    {"ensemble_spread", "The ensemble's spread in latent space", "root mean square", false},
    {"redone", "Network calls made again in float32", "calls a particle", false}};

void diagnostics(Html& page, const All& all) {
  std::int64_t fewest = all.front().curve_images;
  for (const ReportData& data : all) fewest = std::min(fewest, data.curve_images);
  page.element("p",
               concat("Medians over images (", counted(fewest, "image", "images"),
                      alone(all) ? "" : " or more of each", "); the band holds the central 80 % of them."));
  page.open("div", {{"class", "plots"}});
  std::set<std::string> drawn;
  const auto draw = [&](const std::string& name, const std::string& title, const std::string& unit,
                        bool log_y) {
    if (!drawn.insert(name).second) return;
    Plot curves{.title = title, .description = "", .x_label = "step", .y_label = unit, .log_y = log_y};
    bool varies = false;
    for (const ReportData& data : all) {
      PlotSeries series{alone(all) ? "" : data.label, {}, {}};
      if (const auto found = data.curves.find(name); found != data.curves.end()) {
        const Curve& curve = found->second;
        for (std::size_t k = 0; k < curve.median.size() && k < data.steps.size(); ++k) {
          series.points.push_back({static_cast<double>(data.steps[k]), curve.median[k]});
          series.band.push_back({curve.lower[k], curve.upper[k]});
          varies = varies || (std::isfinite(curve.upper[k]) && curve.upper[k] != 0.0);
        }
        if (!series.points.empty())
          curves.description += concat(alone(all) ? "" : data.label + ": ", "from ", curve.median.front(),
                                       " to ", curve.median.back(), ". ");
      }
      curves.series.push_back(series);
    }
    if (varies) plot(page, title, curves);
  };
  for (const Quantity& quantity : kQuantities)
    draw(quantity.name, quantity.title, quantity.unit, quantity.log_y);
  for (const ReportData& data : all)
    for (const auto& [name, curve] : data.curves) draw(name, name, "value", false);
  page.close();
}

// --- Time, the worst, and what failed ---

void timing(Html& page, const All& all) {
  std::vector<Row> rows;
  for (const ReportData& data : all) {
    for (const auto& [group, timing] : data.groups) {
      if (rows.size() == 64) break;
      const auto images = static_cast<double>(timing.images);
      rows.push_back({concat(alone(all) ? "" : data.label + ", ", "group ", group),
                      {concat(timing.images), number(timing.seconds / images, 2), number(timing.slowest, 2),
                       percent(timing.seconds > 0 ? timing.waited / timing.seconds : 0.0)}});
    }
  }
  if (!rows.empty())
    table(page, "groups",
          "Seconds an image by group of ranks; waited: the share spent waiting for the group's other ranks. "
          "A job that was "
          "interrupted counts its groups anew",
          {"ranks", "images", "mean [s]", "slowest [s]", "waited"}, rows);
  page.open("div", {{"class", "plots"}});
  Plot seconds{
      .title = "Seconds an image", .description = "", .x_label = "row of the image", .y_label = "seconds"};
  for (const ReportData& data : all) {
    seconds.series.push_back({alone(all) ? "" : data.label, data.seconds_by_row, {}, false, true});
    if (!data.slowest.empty())
      seconds.description += concat(alone(all) ? "" : data.label + ": ", "slowest ",
                                    number(data.slowest.front().value, 2), " s. ");
  }
  plot(page, "Seconds an image, by row (at most 400 of them)", seconds);
  page.close();
  for (const ReportData& data : all) {
    const std::string of = alone(all) ? "" : data.label + ": ";
    page.open("div", {{"class", "side"}});
    rows.clear();
    for (const RankedImage& image : data.slowest)
      rows.push_back({concat("row ", image.row), {image.name, number(image.value, 2)}});
    if (!rows.empty())
      table(page, "slowest-" + data.label, of + "The slowest images", {"image", "name", "seconds"}, rows,
            {0});
    rows.clear();
    for (const RankedImage& image : data.worst)
      rows.push_back({concat("row ", image.row), {image.name, number(image.value, 3)}});
    if (!rows.empty())
      table(page, "worst-" + data.label, concat(of, "The worst images, by ", data.worst_by),
            {"image", "name", "value"}, rows, {0});
    page.close();
  }
}

void failures(Html& page, const All& all) {
  bool any = false;
  for (const ReportData& data : all) {
    if (data.failed == 0) continue;
    any = true;
    std::vector<Row> rows;
    for (const auto& [name, reason] : data.failures) rows.push_back({name, {reason}});
    table(page, "failures-" + data.label,
          concat(alone(all) ? "" : data.label + ": ", counted(data.failed, "image", "images"), " failed",
                 data.failed > static_cast<std::int64_t>(rows.size()) ? concat("; the first ", rows.size())
                                                                      : ""),
          {"image", "reason"}, rows, {0});
  }
  for (const ReportData& data : all) {
    const std::int64_t left = data.total - data.done - data.failed;
    if (left > 0)
      page.element("p", concat(alone(all) ? "" : data.label + ": ", counted(left, "image is", "images are"),
                               " not done; the same command goes on with what is missing."));
  }
  if (!any) page.element("p", "No image failed.");
}

// --- Again ---

void again(Html& page, const ReportData& data) {
  if (!data.label.empty()) page.element("h3", data.label);
  page.open("dl");
  term(page, "Results", data.path);
  term(page, "Version", "dwgf " + attribute(data, "version"));
  term(page, "Prior, SHA-256", attribute(data, "prior_sha256"));
  term(page, "System", attribute(data, "system"));
  page.close();
  page.element("p", "From what the results file carries, and comparing the bits:");
  page.element("pre", concat("dwgf restore --rerun ", data.path), {{"tabindex", "0"}});
  page.element("p", "Or with the job below as job.ini, on any number of ranks:");
  page.element("pre", "mpirun -np 4 dwgf restore --config job.ini --store.out again.h5", {{"tabindex", "0"}});
  page.open("details").element("summary", "job.ini: every effective option");
  page.element("pre", attribute(data, "job"), {{"tabindex", "0"}}).close();
}

struct Section {
  const char* id;
  const char* title;
  std::function<void(Html&, const All&)> write;
};

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {
      {"summary", "Summary",
       [](Html& page, const All& all) {
         alone(all) ? summary_of_one(page, all.front()) : summary_of_several(page, all);
       }},
      {"solved", "What was solved, and how",
       [](Html& page, const All& all) {
         if (!alone(all)) differences(page, all);
         for (const ReportData& data : all) solved(page, data, alone(all) ? "Job" : data.label);
       }},
      {"calibration", "Can the spread be trusted?", calibration},
      {"pictures", "Pictures", pictures},
      {"diagnostics", "Diagnostics", diagnostics},
      {"timing", "Time, and the worst images", timing},
      {"failures", "Failures", failures},
      {"again", "Running it again",
       [](Html& page, const All& all) {
         for (const ReportData& data : all) again(page, data);
       }},
  };
  return all;
}

}  // namespace

std::string report_page(const std::vector<ReportData>& results) {
  const ReportData& first = results.front();
  const std::string file = first.path.substr(first.path.find_last_of('/') + 1);
  const std::string title =
      alone(results) ? concat("Results: ", file) : concat("Comparison of ", results.size(), " results");
  Html page;
  page.raw("<!DOCTYPE html>\n").open("html", {{"lang", "en"}}).open("head");
  page.empty("meta", {{"charset", "utf-8"}});
  page.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  page.empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  page.empty("link", {{"rel", "icon"}, {"href", "data:,"}});  // or a browser asks for one
  page.element("title", title).open("style").raw(kStyle).close().close();
  page.open("body").open("header").element("h1", title);
  for (const ReportData& data : results) {
    page.element(
        "p", concat(alone(results) ? "" : data.label + ": ", data.done, " of ",
                    counted(data.total, "image", "images"), " restored",
                    data.failed ? concat(", ", data.failed, " failed") : "", "; ", of_problem(data),
                    data.summary.images() < data.done ? concat("; measured on ", sampled(data)) : "", "."));
  }
  page.open("nav", {{"aria-label", "Sections"}}).open("ul");
  for (const Section& section : sections())
    page.open("li").element("a", section.title, {{"href", concat("#", section.id)}}).close();
  page.close().close().close().open("main");
  for (const Section& section : sections()) {
    page.open("section", {{"id", section.id}}).element("h2", section.title);
    section.write(page, results);
    page.close();
  }
  page.close().open("footer").element(
      "p", concat("Made by dwgf ", version(), "; this page needs no network and no scripts."));
  page.close().close().close();
  return page.str();
}

}  // namespace dwgf
