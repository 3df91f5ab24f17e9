#include "job/calibration_images.hpp"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>

#include "data/images.hpp"
#include "flow/draws.hpp"
#include "job/picture_choices.hpp"
#include "job/tensors.hpp"
#include "prior/few_step_sampling.hpp"
#include "store/measurements.hpp"

namespace dwgf {

namespace {

/// Blocks of at most `batch` of the images `first` ... `first` + `count` - 1, all of one canvas.
void add_blocks(std::vector<CalibrationBlock>& blocks, const Canvas& canvas, std::int64_t first,
                std::int64_t count, std::int64_t batch) {
  for (std::int64_t done = 0; done < count; done += batch)
    blocks.push_back({canvas, first + done, std::min(batch, count - done)});
}

/// The name of a file, or of a dataset in one, without the folder that it happens to lie in.
std::string name_of(const std::string& data) {
  const std::size_t dataset = data.find(":/");
  const std::string file = data.substr(0, dataset);
  const std::size_t last = file.find_last_not_of('/');
  const std::string name = std::filesystem::path(file.substr(0, last + 1)).filename().string();
  return dataset == std::string::npos ? name : name + data.substr(dataset);
}

/// Given images, those of one size after another.
class GivenImages final : public CalibrationImages {
 public:
  GivenImages(const CalibrateInput& input, const Prior& prior, Collective& ranks)
      : geometry_(prior.geometry),
        data_(input.images.data),
        source_(open_images(data_, ranks, choices_of(input.images))) {
    const auto total = static_cast<std::int64_t>(source_->entries().size());
    const std::int64_t first = input.images.first;
    if (first >= total)
      throw UsageError("input.first = {} lies behind the last image: '{}' has {}", first, data_, total);
    const std::int64_t last = input.images.count == 0 ? total : std::min(total, first + input.images.count);
    for (std::int64_t row = first; row < last; ++row) {
      if (entry(row).height == 0) source_->read(row, geometry_.image_channels);  // says what is wrong
      rows_.push_back(row);
    }
    std::ranges::stable_sort(rows_, {}, [&](std::int64_t row) {
      const Canvas canvas = canvas_of(row);
      return std::tuple(canvas.height, canvas.width);
    });
    const auto count = static_cast<std::int64_t>(rows_.size());
    for (std::int64_t begin = 0, end = 0; begin < count; begin = end) {
      const Canvas canvas = canvas_of(rows_[static_cast<std::size_t>(begin)]);
      while (end < count && canvas_of(rows_[static_cast<std::size_t>(end)]) == canvas) ++end;
      add_blocks(blocks_, canvas, begin, end - begin, input.batch);
    }
  }

  at::Tensor read(const CalibrationBlock& block) const override {
    std::vector<at::Tensor> images;
    for (std::int64_t k = 0; k < block.count; ++k) {
      const std::int64_t row = rows_[static_cast<std::size_t>(block.first + k)];
      const at::Tensor image = as_tensor(source_->read(row, geometry_.image_channels));
      // What of the canvas lies outside of the image repeats its last row and column.
      images.push_back(at::replication_pad2d(image.unsqueeze(0), {0, block.canvas.width - image.size(2), 0,
                                                                  block.canvas.height - image.size(1)}));
    }
    return at::cat(images);
  }

  std::string source() const override {
    return formatted("rows {} to {} of {}", *std::ranges::min_element(rows_),
                     *std::ranges::max_element(rows_), name_of(data_));
  }

  std::string identity() const override {
    std::string text = name_of(data_);
    for (const std::int64_t row : rows_) text += formatted(" {}:{}", row, entry(row).id);
    return text;
  }

 private:
  const ImageEntry& entry(std::int64_t row) const {
    return source_->entries()[static_cast<std::size_t>(row)];
  }
  Canvas canvas_of(std::int64_t row) const { return geometry_.canvas(entry(row).height, entry(row).width); }

  PriorGeometry geometry_;
  std::string data_;
  std::unique_ptr<ImageSource> source_;
  std::vector<std::int64_t> rows_;
};

/// The prior's own, decoded: z ~ N(0, I) taken down the noise path by DDIM without noise (arXiv 2010.02502),
/// or as a prior of few steps is meant to be sampled.
class OwnSamples final : public CalibrationImages {
 public:
  OwnSamples(const CalibrateInput& input, const Prior& prior)
      : prior_(prior), batch_(input.batch), seed_(input.seed), samples_(input.samples) {
    if (!prior.geometry.only && input.size == 0)
      throw UsageError(
          "--size is not set: samples of this prior can have any size; name the side of the images that it "
          "was trained on, such as --size 512");
    if (prior.geometry.only && input.size != 0)
      throw UsageError("--size = {}: this prior has one size only; leave it out", input.size);
    const Canvas canvas =
        prior.geometry.only ? *prior.geometry.only : prior.geometry.canvas(input.size, input.size);
    add_blocks(blocks_, canvas, 0, samples_, batch_);
  }

  at::Tensor read(const CalibrationBlock& block) const override {
    at::Tensor z = at::empty(
        {batch_, prior_.geometry.latent_channels, block.canvas.latent_height, block.canvas.latent_width},
        prior_.options);
    z = normals_like(z, {seed_, 0, static_cast<std::uint32_t>(block.first), 0, Purpose::init});
    z = prior_.few_steps ? in_few_steps(z, block) : down_the_path(z);
    return prior_.codec->decode(z).clamp(-1, 1).narrow(0, 0, block.count).cpu();
  }

  std::string source() const override { return formatted("{} samples of the prior's own", samples_); }
  std::string identity() const override {
    return formatted("own {} of {} x {}", samples_, blocks_.front().canvas.height,
                     blocks_.front().canvas.width);
  }

 private:
  at::Tensor down_the_path(at::Tensor z) const {
    constexpr std::int64_t kGrid = 51;
    const std::vector<Level> levels = prior_.path->levels(kGrid);
    for (std::size_t k = 0; k < levels.size(); ++k) {
      const at::Tensor noise = prior_.noise(z, levels[k]);
      const at::Tensor clean = (z - levels[k].noise * noise) / levels[k].signal;
      const bool last = k + 1 == levels.size();
      z = last ? clean : levels[k + 1].signal * clean + levels[k + 1].noise * noise;
    }
    return z;
  }

  at::Tensor in_few_steps(const at::Tensor& n, const CalibrationBlock& block) const {
    const FewSteps& few = *prior_.few_steps;
    return sample_few_steps(prior_, few.course(few.steps), few.first_noise * n, [&](std::size_t k) {
      return normals_like(n, {seed_, 0, static_cast<std::uint32_t>(block.first),
                              static_cast<std::uint32_t>(k), Purpose::noising});
    });
  }

  const Prior& prior_;
  std::int64_t batch_;
  std::uint64_t seed_;
  std::int64_t samples_;
};

}  // namespace

std::int64_t CalibrationImages::count() const {
  std::int64_t count = 0;
  for (const CalibrationBlock& block : blocks_) count += block.count;
  return count;
}

bool CalibrationImages::one_size() const {
  return std::ranges::all_of(blocks_,
                             [&](const auto& block) { return block.canvas == blocks_.front().canvas; });
}

std::unique_ptr<CalibrationImages> calibration_images(const CalibrateInput& input, const Prior& prior,
                                                      Collective& ranks) {
  if (input.images.data.empty() && input.samples == 0) {
    throw UsageError(
        "input.data is not set: name images such as those that the prior was trained on (a folder, a .npy or "
        "FILE.h5:/dataset), or have it make its own by --samples N");
  }
  if (!input.images.data.empty() && input.samples != 0) {
    throw UsageError("--samples: input.data names images already; leave one of the two out");
  }
  if (input.images.data.empty()) return std::make_unique<OwnSamples>(input, prior);
  if (is_measurements_file(input.images.data)) {
    throw UsageError("input.data: '{}' holds measurements; `calibrate-prior` takes clean images",
                     input.images.data);
  }
  return std::make_unique<GivenImages>(input, prior, ranks);
}

}  // namespace dwgf
