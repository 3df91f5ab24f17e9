#include "job/ahead/doubtful_arrays.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

namespace {

/// What is doubtful in one array: "sums to 3, so that ..."; empty where nothing is.
struct Doubt {
  const char* topic = "";
  std::string text, advice;
};

std::optional<Doubt> doubt_of(const std::string& kind, const at::Tensor& array) {
  const at::Tensor values = array.to(at::kDouble);
  const double sum = values.sum().item<double>();
  if (kind == "kernel" && std::abs(sum - 1.0) > 0.01) {
    return Doubt{"kernel", formatted("sums to {}, so that grey of 1 is measured as {}", sum, sum),
                 "a kernel that only blurs sums to 1: divide it by its sum"};
  }
  if (kind != "mask") return std::nullopt;
  // A picture as a mask has 255 for 1.
  const double most = values.max().item<double>();
  const at::Tensor between = values.masked_select(values.gt(0).logical_and(values.lt(most)));
  if (between.numel() == 0) return std::nullopt;
  return Doubt{"mask",
               formatted("holds {}, between 0 and {}; it counts as observed, as all but 0 does",
                         between[0].item<double>(), most),
               "set it to 0 where the measurement is not to be believed"};
}

/// The doubts about one of the operator's arrays, in the images that were looked at.
struct ArrayDoubts {
  std::optional<Doubt> first = {};
  std::string image;  ///< the first that has one
  std::int64_t doubtful = 0;
};

}  // namespace

std::vector<Finding> doubtful_arrays(const RestoreJob& job) {
  constexpr std::chrono::seconds time_for_it(2);
  const std::vector<CarriedArray> carried = job.arrays();
  if (carried.empty()) return {};
  const bool own = std::ranges::any_of(carried, &CarriedArray::per_image);
  const auto count = static_cast<std::int64_t>(job.images().size());
  const auto start = std::chrono::steady_clock::now();
  std::vector<ArrayDoubts> doubts(carried.size());
  std::int64_t seen = 0;
  for (std::int64_t row = 0; row < count && (own || seen == 0); ++row) {
    if (row > 0 && std::chrono::steady_clock::now() - start > time_for_it) break;
    std::map<std::string, at::Tensor> arrays;
    try {
      arrays = job.prepare(row).arrays;
    } catch (const Error&) {  // told when its turn comes
      continue;
    }
    ++seen;
    for (std::size_t k = 0; k < carried.size(); ++k) {
      const CarriedArray& array = carried[k];
      const auto found = arrays.find(array.use.name);
      if (found == arrays.end() || array.use.reference.empty() || (seen > 1 && !array.per_image)) continue;
      const std::optional<Doubt> doubt = doubt_of(array.use.kind, found->second);
      if (!doubt) continue;
      if (!doubts[k].first) doubts[k] = {doubt, job.images()[static_cast<std::size_t>(row)].name, 0};
      ++doubts[k].doubtful;
    }
  }
  std::vector<Finding> findings;
  for (std::size_t k = 0; k < carried.size(); ++k) {
    const auto& [first, image, doubtful] = doubts[k];
    if (!first) continue;
    const ArrayUse& use = carried[k].use;
    const std::string whose =
        carried[k].per_image ? formatted("of {} of {} images, the first of them {},", doubtful, seen, image)
                             : formatted("'{}'", use.reference);
    findings.push_back(Finding::warning(first->topic, formatted("the {} {} {}", use.kind, whose, first->text),
                                        first->advice));
  }
  return findings;
}

}  // namespace dwgf
