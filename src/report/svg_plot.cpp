#include "report/svg_plot.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include <dwgf/base/error.hpp>

#include "report/html.hpp"

namespace dwgf {

namespace {

constexpr double kWidth = 360, kHeight = 232;
constexpr double kLeft = 52, kRight = 350, kTop = 10, kBottom = 190;

std::string text_of(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string coordinate(double value) {
  return text_of("%.1f", value);
}

/// One axis: values to units of the drawing.
struct Axis {
  double low = 0.0, high = 1.0, begin = 0.0, end = 1.0;
  bool logarithmic = false;

  double scaled(double value) const { return logarithmic ? std::log10(value) : value; }
  double operator()(double value) const {
    return begin + (scaled(value) - low) / (high - low) * (end - begin);
  }
};

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool any() const { return low <= high; }
};

/// Both ends at ticks; never of no length.
void fit(Axis& axis, const std::vector<double>& at) {
  axis.low = std::min(axis.low, at.front());
  axis.high = std::max(axis.high, at.back());
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return formatted("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", style, coordinate(x1),
                   coordinate(y1), coordinate(x2), coordinate(y2));
}

std::string label(double x, double y, const char* anchor, const std::string& text,
                  const std::string& more = "") {
  return formatted("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\"{}>{}</text>", coordinate(x), coordinate(y),
                   anchor, more, escaped(text));
}

std::string tick_text(double value, bool logarithmic) {
  if (!logarithmic) return text_of("%.4g", std::abs(value) < 1e-12 ? 0.0 : value);
  const double power = std::pow(10.0, value);
  return text_of(value < -3 || value > 4 ? "%.0e" : "%.4g", power);
}

std::string drawn(const PlotSeries& series, std::size_t number, const Axis& x, const Axis& y) {
  const std::string style = formatted("series-{}", number % 6);
  const auto place = [&](double a, double b) {
    return formatted("{},{} ", coordinate(x(a)), coordinate(y(b)));
  };
  const auto shown = [&](double a, double b) {
    return std::isfinite(a) && std::isfinite(b) && (!y.logarithmic || b > 0);
  };
  std::string out, path, upper, lower;
  for (std::size_t k = 0; k < series.band.size(); ++k) {
    const double a = series.points[k].first;
    if (!shown(a, series.band[k].first) || !shown(a, series.band[k].second)) continue;
    upper += place(a, series.band[k].second);
    lower = place(a, series.band[k].first) + lower;
  }
  if (!upper.empty()) out += formatted("<polygon class=\"band {}\" points=\"{}{}\"/>", style, upper, lower);
  for (const auto& [a, b] : series.points) {
    if (!shown(a, b)) continue;
    path += place(a, b);
    if (series.marks)
      out += formatted("<circle class=\"mark {}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>", style, coordinate(x(a)),
                       coordinate(y(b)), series.line ? "3" : "2.5");
  }
  if (series.line && !path.empty())
    out += formatted("<polyline class=\"curve {}\" points=\"{}\"/>", style, path);
  return out;
}

struct Axes {
  Axis x, y;
  std::vector<double> x_ticks, y_ticks;
};

/// Axes that hold every point and band; nothing where no point is finite.
std::optional<Axes> axes_of(const Plot& plot) {
  Range xs, ys;
  bool positive = true;
  const auto add_y = [&](double value) {
    ys.add(value);
    if (std::isfinite(value) && value <= 0) positive = false;
  };
  for (const PlotSeries& series : plot.series) {
    for (const auto& [a, b] : series.points) {
      if (!std::isfinite(b)) continue;
      xs.add(a);
      add_y(b);
    }
    for (const auto& [a, b] : series.band) {
      add_y(a);
      add_y(b);
    }
  }
  if (!xs.any() || !ys.any()) return std::nullopt;
  if (plot.x_range) xs = {plot.x_range->first, plot.x_range->second};
  if (plot.y_range) ys = {plot.y_range->first, plot.y_range->second};
  Axis x{xs.low, xs.high, kLeft, kRight, false};
  Axis y{ys.low, ys.high, kBottom, kTop, plot.log_y && positive};
  if (y.logarithmic) {
    y.low = std::log10(ys.low);
    y.high = std::log10(ys.high);
  }
  std::vector<double> x_ticks = ticks(x.low, x.high, 6), y_ticks = ticks(y.low, y.high, 6);
  if (y.logarithmic && y_ticks.size() > 1 && y_ticks[1] - y_ticks[0] < 1 &&
      y_ticks.back() - y_ticks.front() > 2)
    y_ticks = ticks(std::floor(y.low), std::ceil(y.high),
                    static_cast<int>(std::ceil(y.high) - std::floor(y.low)) + 1);
  if (!plot.x_range)
    std::erase_if(x_ticks, [&](double at) { return at < x.low - 1e-9 || at > x.high * (1 + 1e-9); });
  if (x.low == x.high) fit(x, ticks(x.low, x.high, 3));
  fit(y, y_ticks);
  return Axes{x, y, x_ticks, y_ticks};
}

std::string legend(const Plot& plot) {
  std::string items;
  for (std::size_t k = 0; k < plot.series.size(); ++k) {
    const PlotSeries& series = plot.series[k];
    if (series.name.empty()) continue;
    const std::string style = formatted("series-{}", k % 6);
    items += formatted(
        "<li><svg class=\"key\" viewBox=\"0 0 28 10\" aria-hidden=\"true\">{}{}</svg> {}</li>",
        series.line ? formatted("<polyline class=\"curve {}\" points=\"0,5 28,5\"/>", style) : "",
        series.marks ? formatted("<circle class=\"mark {}\" cx=\"14\" cy=\"5\" r=\"3\"/>", style) : "",
        escaped(series.name));
  }
  return items.empty() ? "" : formatted("<ul class=\"legend\">{}</ul>", items);
}

}  // namespace

std::vector<double> ticks(double low, double high, int count) {
  if (high - low < 1e-12 * std::max({1e-300, std::abs(low), std::abs(high)})) {
    const double by = low == 0.0 ? 1.0 : 0.5 * std::abs(low);
    low -= by;
    high += by;
  }
  const double raw = (high - low) / std::max(1, count - 1),
               power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * 0.999) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> at;
  for (double k = std::floor(low / step + 1e-9); k * step < high + step * (1 - 1e-9); ++k)
    at.push_back(k * step);
  return at;
}

std::string svg_of(const Plot& plot) {
  const std::optional<Axes> axes = axes_of(plot);
  if (!axes) return "";
  const Axis &x = axes->x, &y = axes->y;
  const std::string id = formatted("plot-{}", std::hash<std::string>{}(plot.title) % 1000000007);
  std::string out = formatted(
      "<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{}-t {}-d\"><title "
      "id=\"{}-t\">{}</title><desc id=\"{}-d\">{}</desc>",
      kWidth, kHeight, id, id, id, escaped(plot.title), id, escaped(plot.description));
  for (const double at : axes->y_ticks) {
    const double place = y.begin + (at - y.low) / (y.high - y.low) * (y.end - y.begin);
    out += line(kLeft, place, kRight, place, "grid");
    out += label(kLeft - 5, place + 3.5, "end", tick_text(at, y.logarithmic));
  }
  for (const double at : axes->x_ticks) {
    out += line(x(at), kBottom, x(at), kBottom + 4, "axis");
    out += label(x(at), kBottom + 16, "middle", tick_text(at, false));
  }
  out += line(kLeft, kBottom, kRight, kBottom, "axis") + line(kLeft, kTop, kLeft, kBottom, "axis");
  if (plot.diagonal) {
    const double low = std::max(x.low, y.low), high = std::min(x.high, y.high);
    out += line(x(low), y(low), x(high), y(high), "guide");
  }
  if (plot.vertical && *plot.vertical > x.low && *plot.vertical < x.high)
    out += line(x(*plot.vertical), kTop, x(*plot.vertical), kBottom, "guide");
  if (plot.horizontal && *plot.horizontal > y.low && *plot.horizontal < y.high)
    out += line(kLeft, y(*plot.horizontal), kRight, y(*plot.horizontal), "guide");
  for (std::size_t k = 0; k < plot.series.size(); ++k) out += drawn(plot.series[k], k, x, y);
  out += label((kLeft + kRight) / 2, kHeight - 6, "middle", plot.x_label);
  const double middle = (kTop + kBottom) / 2;
  out += label(11, middle, "middle", plot.y_label, formatted(" transform=\"rotate(-90 11 {})\"", middle));
  return out + "</svg>" + legend(plot);
}

}  // namespace dwgf
