#include "prior/models/decoder_gradient.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

using Stages = Autoencoder::DecoderStages;

/// Part of a chain of stages whose blocks' inputs are kept, and nothing else.
class Recomputation {
 public:
  Recomputation(const Stages& stages, std::size_t first, std::size_t last, Normaliser normalise)
      : stages_(&stages), first_(first), last_(last), normalise_(normalise) {}

  at::Tensor forward(at::Tensor h) {
    const at::NoGradGuard no_grad;
    for (std::size_t i = first_; i < last_; ++i) {
      inputs_.push_back(h);
      h = stages_->all[i].forward(h, normalise_);
    }
    return h;
  }

  at::Tensor pull_back(at::Tensor cotangent) {
    if (inputs_.empty()) throw InternalError("prior: a pull-back serves once");
    const c10::InferenceMode recording(false);
    const at::NoGradGuard no_grad;
    for (std::size_t i = last_; i-- > first_;) {
      const at::Tensor input = inputs_.back();
      inputs_.pop_back();
      cotangent = stages_->all[i].differentiated(input, normalise_).pull_back(cotangent);
    }
    return cotangent;
  }

 private:
  const Stages* stages_;
  std::size_t first_, last_;
  Normaliser normalise_;
  std::vector<at::Tensor> inputs_;
};

Differentiated keep_all(const Stages& stages, const at::Tensor& z) {
  const c10::InferenceMode recording(false);
  const at::NoGradGuard no_grad;
  auto pull_backs = std::make_shared<std::vector<std::function<at::Tensor(const at::Tensor&)>>>();
  at::Tensor h = z.detach().clone();
  for (const Stages::Stage& stage : stages.all) {
    Differentiated part = stage.differentiated(h, Normaliser());
    h = part.value;
    pull_backs->push_back(std::move(part.pull_back));
  }
  return {h, [pull_backs](at::Tensor cotangent) {
            if (pull_backs->empty()) throw InternalError("prior: a pull-back serves once");
            const c10::InferenceMode backwards(false);
            const at::NoGradGuard none;
            for (; !pull_backs->empty(); pull_backs->pop_back()) cotangent = pull_backs->back()(cotangent);
            return cotangent;
          }};
}

Differentiated recompute(const Stages& stages, const at::Tensor& z) {
  const c10::InferenceMode recording(false);
  auto chain = std::make_shared<Recomputation>(stages, 0, stages.all.size(), Normaliser());
  const at::Tensor x = chain->forward(z.detach().clone());  // [B, C, H, W]
  return {x, [chain](const at::Tensor& cotangent) { return chain->pull_back(cotangent); }};
}

/// Positions [begin, end) of one axis.
struct Interval {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

at::Tensor part(const at::Tensor& h, Interval rows, Interval columns) {
  return h.narrow(2, rows.begin, rows.size()).narrow(3, columns.begin, columns.size());
}

/// One axis of a tile: `core` is its own share, `seen` includes what its share can see.
struct TileAxis {
  Interval core, seen;
};

std::vector<TileAxis> tiles_of(std::int64_t size, std::int64_t tile, std::int64_t reach) {
  std::vector<TileAxis> tiles;
  for (std::int64_t begin = 0; begin < size; begin += tile) {
    const std::int64_t end = std::min(begin + tile, size);
    tiles.push_back({{begin, end}, {std::max<std::int64_t>(begin - reach, 0), std::min(end + reach, size)}});
  }
  return tiles;
}

class Tiling {
 public:
  Tiling(const Stages& stages, std::int64_t tile)
      : stages_(&stages), tile_(tile), coarse_(stages, 0, stages.coarse, Normaliser()) {}

  at::Tensor forward(const at::Tensor& z) {
    const at::NoGradGuard no_grad;
    fine_input_ = coarse_.forward(z);  // [B, channels, h, w]
    at::Tensor h = fine_input_;
    for (std::size_t i = stages_->coarse; i < stages_->all.size(); ++i)
      h = stages_->all[i].forward(h, Normaliser::noting(statistics_));
    return h;  // [B, C, H, W]
  }

  at::Tensor pull_back(const at::Tensor& cotangent) {
    if (!fine_input_.defined()) throw InternalError("prior: a pull-back serves once");
    const c10::InferenceMode recording(false);
    const at::NoGradGuard no_grad;
    const std::int64_t f = stages_->factor;
    at::Tensor total = at::zeros_like(fine_input_);  // [B, channels, h, w]
    for (const TileAxis& rows : tiles_of(total.size(2), tile_, stages_->reach)) {
      for (const TileAxis& columns : tiles_of(total.size(3), tile_, stages_->reach)) {
        Recomputation chain(*stages_, stages_->coarse, stages_->all.size(),
                            Normaliser::as_noted(statistics_));
        const at::Tensor x = chain.forward(part(fine_input_, rows.seen, columns.seen).contiguous());
        at::Tensor own = at::zeros_like(x);  // the cotangent of the tile's own share, nothing elsewhere
        const auto inside = [f](const TileAxis& axis) {
          return Interval{f * (axis.core.begin - axis.seen.begin), f * (axis.core.end - axis.seen.begin)};
        };
        const auto whole = [f](const TileAxis& axis) {
          return Interval{f * axis.core.begin, f * axis.core.end};
        };
        part(own, inside(rows), inside(columns)).copy_(part(cotangent, whole(rows), whole(columns)));
        part(total, rows.seen, columns.seen).add_(chain.pull_back(own));
      }
    }
    fine_input_ = at::Tensor();
    return coarse_.pull_back(total);
  }

 private:
  const Stages* stages_;
  std::int64_t tile_;
  Recomputation coarse_;
  at::Tensor fine_input_;
  NormStatistics statistics_;
};

Differentiated in_tiles(const Stages& stages, const at::Tensor& z, std::int64_t tile) {
  const c10::InferenceMode recording(false);
  auto tiling = std::make_shared<Tiling>(stages, tile);
  const at::Tensor x = tiling->forward(z.detach().clone());  // [B, C, H, W]
  return {x, [tiling](const at::Tensor& cotangent) { return tiling->pull_back(cotangent); }};
}

}  // namespace

Differentiated differentiate_decoder(const Stages& stages, const at::Tensor& z, DecoderGradient how,
                                     std::int64_t tile) {
  switch (how) {
    case DecoderGradient::plain:
      return keep_all(stages, z);
    case DecoderGradient::recompute:
      return recompute(stages, z);
    case DecoderGradient::tiled:
      return in_tiles(stages, z, tile);
  }
  throw InternalError("prior: unknown way to a decoder's gradient");
}

}  // namespace dwgf
