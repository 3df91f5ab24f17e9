/// Line plots as inline SVG: axes with ticks and units, colours by style sheet classes (series-0, series-1,
/// ...), so that they suit light and dark pages; series differ in dashes and marks too.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dwgf {

struct PlotSeries {
  std::string name;                                  ///< in the legend; empty: none
  std::vector<std::pair<double, double>> points;     ///< what is not finite is left out
  std::vector<std::pair<double, double>> band = {};  ///< lower and upper y at the same x; empty: none
  bool line = true;                                  ///< false: marks alone
  bool marks = false;
};

struct Plot {
  std::string title;             ///< for readers of the screen
  std::string description;       ///< what is to be seen, in words and numbers
  std::string x_label, y_label;  ///< with units
  std::vector<PlotSeries> series = {};
  bool log_y = false;                                                   ///< where all values are above 0
  bool diagonal = false;                                                ///< the line y = x
  std::optional<std::pair<double, double>> x_range = {}, y_range = {};  ///< by the points where not given
  std::optional<double> vertical = {}, horizontal = {};  ///< dotted lines at this x, and at this y
};

/// An element svg of 360 units in width, and, where series have names, a legend after it; empty where no
/// point is finite.
std::string svg_of(const Plot& plot);

/// Round numbers that cover [low, high], about `count` of them. @pre low <= high, finite
std::vector<double> ticks(double low, double high, int count);

}  // namespace dwgf
