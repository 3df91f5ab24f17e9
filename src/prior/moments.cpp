#include "prior/moments.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"
#include "prior/files/safetensors.hpp"
#include "prior/files/sha256.hpp"

namespace dwgf {

namespace {

/// f where an image is a grid of f x f pixels a latent pixel; 0 where it is none.
std::int64_t pixels_per_latent(const Canvas& canvas) {
  const std::int64_t f = canvas.height / std::max<std::int64_t>(canvas.latent_height, 1);
  const bool grid =
      f > 0 && f * canvas.latent_height == canvas.height && f * canvas.latent_width == canvas.width;
  return grid ? f : 0;
}

/// The values of a cell's vector, [1, Q, h | 1, w | 1].
at::Tensor per_cell(const at::Tensor& entries) {
  return entries.unsqueeze(0);
}

}  // namespace

Cells::Cells(const PriorGeometry& geometry, const Canvas& canvas)
    : geometry_(geometry), canvas_(canvas), pixels_(pixels_per_latent(canvas)) {
  const std::int64_t c = geometry.latent_channels, channels = geometry.image_channels;
  rows_ = pixels_ > 0 ? canvas.latent_height : 1;
  columns_ = pixels_ > 0 ? canvas.latent_width : 1;
  latent_values_ = pixels_ > 0 ? c : c * canvas.latent_height * canvas.latent_width;
  image_values_ = pixels_ > 0 ? channels * pixels_ * pixels_ : channels * canvas.height * canvas.width;
}

at::Tensor Cells::join(const at::Tensor& z, const at::Tensor& x) const {
  return at::cat({z.reshape({z.size(0), latent_values_, rows_, columns_}), image_cells(x)}, 1);
}

at::Tensor Cells::latents(const at::Tensor& cells) const {
  return cells.narrow(1, 0, latent_values_)
      .reshape({cells.size(0), geometry_.latent_channels, canvas_.latent_height, canvas_.latent_width});
}

at::Tensor Cells::images(const at::Tensor& cells) const {
  const at::Tensor values = cells.narrow(1, latent_values_, image_values_);
  if (pixels_ > 0) return at::pixel_shuffle(values, pixels_);
  return values.reshape({cells.size(0), geometry_.image_channels, canvas_.height, canvas_.width});
}

at::Tensor Cells::of_images(const at::Tensor& x) const {
  const at::Tensor values = image_cells(x);
  return at::cat({values.new_zeros({x.size(0), latent_values_, rows_, columns_}), values}, 1);
}

at::Tensor Cells::image_cells(const at::Tensor& x) const {
  if (pixels_ > 0) return at::pixel_unshuffle(x, pixels_);
  return x.reshape({x.size(0), image_values_, 1, 1});
}

JointMoments JointMoments::to(const at::TensorOptions& options) const {
  JointMoments moved = *this;
  for (at::Tensor* part : {&moved.factor, &moved.variance, &moved.scale, &moved.root}) {
    if (part->defined()) *part = part->to(options);
  }
  return moved;
}

namespace {

at::Tensor scaled(const JointMoments& moments, const at::Tensor& cells) {
  return moments.scale.defined() ? cells * per_cell(moments.scale) : cells;
}

/// How far R reaches to each side.
std::int64_t reach(const JointMoments& moments) {
  return (moments.root.size(2) - 1) / 2;
}

/// J cells of one part.
at::Tensor times_part(const JointMoments& moments, const at::Tensor& cells) {
  at::Tensor sum = cells * per_cell(moments.variance);  // [B, Q, h, w]
  if (moments.factor.defined()) {
    const at::Tensor factor = moments.factor.flatten(0, 2);  // [Q h w, rank]
    sum.add_(at::matmul(at::matmul(cells.flatten(1), factor), factor.t()).view_as(cells));
  }
  if (moments.root.defined()) {
    const at::Tensor white =
        at::conv_transpose2d(scaled(moments, cells), moments.root);  // [B, K, h + k - 1, ...]
    sum.add_(scaled(moments, at::conv2d(white, moments.root)));
  }
  return sum;
}

/// The diagonal of J of one part.
at::Tensor diagonal_of_part(const JointMoments& moments) {
  at::Tensor sum = moments.variance;
  if (moments.factor.defined()) sum = sum + moments.factor.square().sum(3);
  if (moments.root.defined()) {
    const at::Tensor of_root = moments.root.square().sum({1, 2, 3}).view({-1, 1, 1});
    sum = sum + (moments.scale.defined() ? of_root * moments.scale.square() : of_root);
  }
  return sum;
}

/// G R R^T G. The same everywhere but for G, so that it is read off the answer to one impulse a value.
at::Tensor matrix_of_root(const JointMoments& moments, const Cells& cells) {
  const std::int64_t values = cells.values(), h = cells.rows(), w = cells.columns();
  at::Tensor impulses = at::zeros({values, values, 2 * h - 1, 2 * w - 1}, moments.root.options());
  impulses.select(3, w - 1).select(2, h - 1).fill_diagonal_(1.0);
  const at::Tensor answers =
      at::conv2d(at::conv_transpose2d(impulses, moments.root), moments.root);  // [Q, Q, 2 h - 1, 2 w - 1]
  const auto offsets = [&](std::int64_t size) {
    const at::Tensor place = at::arange(size, at::TensorOptions(at::kLong).device(moments.root.device()));
    return place.unsqueeze(0) - place.unsqueeze(1) + (size - 1);  // [from, to]
  };
  const at::Tensor all = answers.index_select(2, offsets(h).flatten())
                             .index_select(3, offsets(w).flatten())
                             .view({values, values, h, h, w, w})  // [Q from, Q to, rows, columns]
                             .permute({0, 2, 4, 1, 3, 5})
                             .reshape({cells.entries(), cells.entries()});
  if (!moments.scale.defined()) return all;
  const at::Tensor scale = moments.scale.expand({values, h, w}).flatten();
  return all * scale * scale.unsqueeze(1);
}

at::Tensor matrix_of_part(const JointMoments& moments, const Cells& cells) {
  at::Tensor sum = moments.variance.expand({cells.values(), cells.rows(), cells.columns()}).flatten().diag();
  if (moments.factor.defined()) {
    const at::Tensor factor = moments.factor.flatten(0, 2);  // [Q h w, rank]
    sum.addmm_(factor, factor.t());
  }
  if (moments.root.defined()) sum.add_(matrix_of_root(moments, cells));
  return sum;
}

/// A draw of N(0, J) of one part.
at::Tensor draw_part(const JointMoments& moments, std::int64_t samples, const Cells& cells,
                     const WhiteNoise& white) {
  const std::int64_t h = cells.rows(), w = cells.columns();
  at::Tensor sum = white({samples, cells.values(), h, w}) * per_cell(moments.variance.sqrt());
  if (moments.factor.defined()) {
    const at::Tensor factor = moments.factor.flatten(0, 2);  // [Q h w, rank]
    sum.add_(at::matmul(white({samples, factor.size(1)}), factor.t()).view_as(sum));
  }
  if (moments.root.defined()) {
    const std::int64_t wider = 2 * reach(moments);
    sum.add_(scaled(moments,
                    at::conv2d(white({samples, moments.root.size(1), h + wider, w + wider}), moments.root)));
  }
  return sum;
}

}  // namespace

JointCovariance::JointCovariance(std::vector<Part> parts) : parts_(std::move(parts)) {
  precondition(!parts_.empty(), "a joint covariance has a part");
}

at::Tensor JointCovariance::times(const at::Tensor& cells) const {
  at::Tensor sum = times_part(parts_.front().moments, cells) * parts_.front().weight;
  for (std::size_t i = 1; i < parts_.size(); ++i)
    sum.add_(times_part(parts_[i].moments, cells), parts_[i].weight);
  return sum;
}

at::Tensor JointCovariance::diagonal() const {
  at::Tensor sum = diagonal_of_part(parts_.front().moments) * parts_.front().weight;
  for (std::size_t i = 1; i < parts_.size(); ++i)
    sum = sum + diagonal_of_part(parts_[i].moments) * parts_[i].weight;
  return sum;
}

at::Tensor JointCovariance::matrix(const Cells& cells) const {
  at::Tensor sum = matrix_of_part(parts_.front().moments, cells) * parts_.front().weight;
  for (std::size_t i = 1; i < parts_.size(); ++i)
    sum.add_(matrix_of_part(parts_[i].moments, cells), parts_[i].weight);
  return sum;
}

at::Tensor JointCovariance::draw(std::int64_t samples, const Cells& cells, const WhiteNoise& white) const {
  at::Tensor sum;
  for (const Part& part : parts_) {
    const at::Tensor drawn = draw_part(part.moments, samples, cells, white) * std::sqrt(part.weight);
    sum = sum.defined() ? sum + drawn : drawn;
  }
  return sum;
}

PriorMoments::PriorMoments(std::vector<AtLevel> levels, at::Tensor mean, JointMoments covariance,
                           std::map<std::string, std::string> about)
    : levels_(std::move(levels)),
      mean_(std::move(mean)),
      covariance_(std::move(covariance)),
      about_(std::move(about)) {
  precondition(!levels_.empty() && std::ranges::is_sorted(levels_, {}, &AtLevel::log_ratio),
               "the levels of a prior's moments ascend");
}

JointCovariance PriorMoments::at(double log_ratio) const {
  const auto above = std::ranges::lower_bound(levels_, log_ratio, {}, &AtLevel::log_ratio);
  if (above == levels_.begin()) return JointCovariance({{1.0, levels_.front().moments}});
  if (above == levels_.end()) return JointCovariance({{1.0, levels_.back().moments}});
  const auto below = above - 1;
  const double share = (log_ratio - below->log_ratio) / (above->log_ratio - below->log_ratio);
  return JointCovariance({{1.0 - share, below->moments}, {share, above->moments}});
}

JointCovariance PriorMoments::prior() const {
  return JointCovariance({{1.0, covariance_}});
}

void PriorMoments::require_fits(const Cells& cells) const {
  if (mean_.size(0) != cells.values()) {
    throw DataError(
        "prior.moments: they are of {} values a latent pixel and its image, and this prior has {}; measure "
        "its own with `dwgf calibrate-prior`",
        mean_.size(0), cells.values());
  }
  const auto fits = [&](const at::Tensor& part) {
    if (!part.defined()) return true;
    const bool everywhere = part.size(1) == 1 && part.size(2) == 1;
    return everywhere || (part.size(1) == cells.rows() && part.size(2) == cells.columns());
  };
  const auto all_fit = [&](const JointMoments& of) {
    return fits(of.variance) && fits(of.scale) && (!of.factor.defined() || fits(of.factor.select(3, 0)));
  };
  const bool levels_fit =
      std::ranges::all_of(levels_, [&](const AtLevel& level) { return all_fit(level.moments); });
  if (levels_fit && fits(mean_) && all_fit(covariance_)) return;
  throw DataError(
      "prior.moments: they were measured for latents of {} x {} alone, and this image's are {} x {}; measure "
      "moments for any size with `dwgf calibrate-prior --form shift-invariant`",
      std::max(mean_.size(1), levels_.front().moments.variance.size(1)),
      std::max(mean_.size(2), levels_.front().moments.variance.size(2)), cells.rows(), cells.columns());
}

PriorMoments PriorMoments::to(const at::TensorOptions& options) const {
  std::vector<AtLevel> levels;
  for (const AtLevel& level : levels_) levels.push_back({level.log_ratio, level.moments.to(options)});
  return {std::move(levels), mean_.to(options), covariance_.to(options), about_};
}

namespace {

constexpr std::pair<const char*, at::Tensor JointMoments::*> kParts[] = {
    {"factor", &JointMoments::factor},
    {"variance", &JointMoments::variance},
    {"scale", &JointMoments::scale},
    {"root", &JointMoments::root}};

/// The tensors of a file of moments, checked one by one.
class MomentsReader {
 public:
  explicit MomentsReader(const std::filesystem::path& file) : file_(file) {}

  const std::map<std::string, std::string>& about() const { return file_.metadata(); }

  at::Tensor required(const std::string& name, std::int64_t dimensions) const {
    const auto found = optional(name, dimensions);
    if (!found) fail("has no tensor '{}'", name);
    return *found;
  }

  JointMoments moments(const std::string& prefix, std::int64_t values) const {
    JointMoments read;
    for (const auto& [name, part] : kParts) {
      const bool entries = part == &JointMoments::variance || part == &JointMoments::scale;
      const std::string full = prefix + "." + name;
      const auto found = optional(full, entries ? 3 : 4);
      if (!found) continue;
      if (found->size(0) != values)
        fail("has {} values a cell in '{}', and {} in 'mean'", found->size(0), full, values);
      read.*part = *found;
    }
    if (!read.variance.defined()) fail("has no tensor '{}.variance'", prefix);
    if ((read.variance < 0).any().item<bool>()) fail("has a negative variance in '{}.variance'", prefix);
    const bool odd =
        !read.root.defined() || (read.root.size(2) % 2 == 1 && read.root.size(2) == read.root.size(3));
    if (!odd) fail("has no square kernel of odd size in '{}.root'", prefix);
    return read;
  }

 private:
  std::optional<at::Tensor> optional(const std::string& name, std::int64_t dimensions) const {
    const auto found = std::ranges::find(file_.tensors(), name, &StoredTensor::name);
    if (found == file_.tensors().end()) return std::nullopt;
    // A copy: the view shares the mapping, which ends with the reader.
    const at::Tensor read = file_.view(*found).to(at::kFloat).clone();
    if (read.dim() != dimensions) fail("has {} dimensions in '{}', not {}", read.dim(), name, dimensions);
    if (read.numel() == 0 || !at::isfinite(read).all().item<bool>())
      fail("holds nothing, or a value that is not finite, in '{}'", name);
    return read;
  }

  template <class... Values>
  [[noreturn]] void fail(FormatText<std::type_identity_t<Values>...> text, const Values&... values) const {
    throw DataError("prior.moments: {} {}; make it again with `dwgf calibrate-prior`", file_.path().string(),
                    formatted(text, values...));
  }

  SafetensorsFile file_;
};

}  // namespace

PriorMoments read_moments(const std::filesystem::path& file) {
  const MomentsReader reader(file);
  const at::Tensor ratios = reader.required("log_ratio", 1), mean = reader.required("mean", 3);
  std::vector<PriorMoments::AtLevel> levels;
  for (std::int64_t i = 0; i < ratios.size(0); ++i) {
    levels.push_back({static_cast<double>(ratios[i].item<float>()),
                      reader.moments(formatted("level.{}", i), mean.size(0))});
  }
  if (!std::ranges::is_sorted(levels, {}, &PriorMoments::AtLevel::log_ratio))
    throw DataError("prior.moments: {} has levels out of order; make it again with `dwgf calibrate-prior`",
                    file.string());
  return {std::move(levels), mean, reader.moments("prior", mean.size(0)), reader.about()};
}

namespace {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

NamedTensors as_stored(const PriorMoments& moments) {
  NamedTensors tensors;
  std::vector<float> ratios;
  for (const auto& level : moments.levels()) ratios.push_back(static_cast<float>(level.log_ratio));
  tensors.emplace_back("log_ratio", at::tensor(at::ArrayRef<float>(ratios)));
  tensors.emplace_back("mean", moments.mean().to(at::kFloat));
  const auto add = [&](const std::string& prefix, const JointMoments& of) {
    for (const auto& [name, part] : kParts) {
      if (!(of.*part).defined()) continue;
      const bool exact = part == &JointMoments::variance;
      tensors.emplace_back(prefix + "." + name, (of.*part).to(exact ? at::kFloat : at::kHalf));
    }
  };
  add("prior", moments.covariance());
  for (std::size_t i = 0; i < moments.levels().size(); ++i)
    add(formatted("level.{}", i), moments.levels()[i].moments);
  for (auto& [name, tensor] : tensors) tensor = tensor.cpu().contiguous();
  return tensors;
}

}  // namespace

std::string PriorMoments::sha256() const {
  Sha256 hash;
  for (const auto& [name, tensor] : as_stored(*this)) {
    hash.update(std::as_bytes(std::span(name)));
    hash.update({static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
  }
  return hash.finish();
}

void write_moments(const std::filesystem::path& file, const PriorMoments& moments) {
  write_safetensors(file, as_stored(moments), moments.about());
}

}  // namespace dwgf
