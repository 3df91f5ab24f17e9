#include "store/time_shares.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include <dwgf/base/error.hpp>

#include "store/schema.hpp"

namespace dwgf {

namespace {

/// The mean over the ranks of one image.
double mean_over_ranks(const ResultsFile& file, const std::string& dataset, std::int64_t row) {
  return file.read_floats(dataset, row).front();
}

std::vector<std::int64_t> some_committed(const ResultsFile& file, std::int64_t most) {
  const std::vector<ImageState> states = file.states();
  std::vector<std::int64_t> rows, some;
  for (std::size_t row = 0; row < states.size(); ++row)
    if (states[row] == ImageState::committed) rows.push_back(static_cast<std::int64_t>(row));
  const auto count = static_cast<std::int64_t>(rows.size());
  for (std::int64_t k = 0; k < std::min(count, most); ++k)
    some.push_back(rows[static_cast<std::size_t>(count <= most ? k : k * count / most)]);
  return some;
}

}  // namespace

TimeShares time_shares(const ResultsFile& file, std::int64_t most) {
  TimeShares shares;
  std::vector<std::string> datasets;
  for (const DatasetLayout& dataset : file.layout().datasets) {
    const auto name = schema::kTimingStep.name_in(dataset.path);
    if (!name) continue;
    datasets.push_back(dataset.path);
    shares.parts.push_back({*name});
  }
  if (datasets.empty()) return {};
  double computing = 0.0, waiting = 0.0, in_parts = 0.0;
  for (const std::int64_t row : some_committed(file, most)) {
    ++shares.images;
    computing += mean_over_ranks(file, schema::kTimingCompute.path, row);
    waiting += mean_over_ranks(file, schema::kTimingWait.path, row);
    shares.processors += mean_over_ranks(file, schema::kTimingProcessors.path, row);
    for (std::size_t k = 0; k < datasets.size(); ++k) {
      const double seconds = mean_over_ranks(file, datasets[k], row);
      shares.parts[k].seconds += seconds;
      in_parts += seconds;
    }
  }
  if (shares.images == 0) return {};
  std::ranges::stable_sort(shares.parts, std::greater<>(), &TimeShare::seconds);
  shares.parts.push_back({"waiting", waiting});
  shares.parts.push_back({"other", std::max(0.0, computing - in_parts)});
  const auto images = static_cast<double>(shares.images);
  for (TimeShare& part : shares.parts) {
    part.seconds /= images;
    shares.seconds += part.seconds;
  }
  shares.processors /= images;
  return shares;
}

std::string text_of(const TimeShares& shares) {
  std::string text;
  for (const TimeShare& part : shares.parts) {
    const auto percent = std::lround(100.0 * part.seconds / std::max(shares.seconds, 1e-30));
    if (percent > 0) text += formatted("{}{} {} %", text.empty() ? "" : ", ", part.name, percent);
  }
  return text;
}

}  // namespace dwgf
