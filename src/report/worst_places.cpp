#include "report/worst_places.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

#include "base/precondition.hpp"

namespace dwgf {
namespace {

bool overlap(const Place& a, const Place& b) {
  return std::abs(a.top - b.top) < a.side && std::abs(a.left - b.left) < a.side;
}

}  // namespace

std::vector<Place> worst_places(const at::Tensor& badness, std::int64_t side, std::size_t most) {
  precondition(badness.dim() == 2 && side >= 2 && side <= badness.size(0) && side <= badness.size(1),
               "squares that fit into the image");
  const std::int64_t stride = side / 2;
  const at::Tensor means = at::avg_pool2d(badness.to(at::kFloat).nan_to_num(0.0).unsqueeze(0), side, stride)
                               .squeeze(0)
                               .to(at::kDouble)
                               .contiguous();  // [rows, columns]
  std::vector<Place> all;
  for (std::int64_t k = 0; k < means.numel(); ++k) {
    all.push_back(
        {k / means.size(1) * stride, k % means.size(1) * stride, side, means.data_ptr<double>()[k]});
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Place& a, const Place& b) { return a.badness > b.badness; });
  std::vector<Place> worst;
  for (const Place& place : all) {
    if (worst.size() == most) break;
    if (std::ranges::none_of(worst, [&](const Place& other) { return overlap(place, other); }))
      worst.push_back(place);
  }
  return worst;
}

at::Tensor part_at(const at::Tensor& image, const Place& place) {
  return image.narrow(1, place.top, place.side).narrow(2, place.left, place.side);
}

}  // namespace dwgf
