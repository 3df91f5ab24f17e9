#include "job/image_writer.hpp"

#include <limits>
#include <map>

#include <ATen/ATen.h>

#include <dwgf/flow/fixed_point.hpp>

#include "flow/diverged.hpp"
#include "job/decoder_error.hpp"
#include "job/posterior_products.hpp"
#include "job/tensors.hpp"
#include "posterior/stein.hpp"
#include "store/schema.hpp"

namespace dwgf {

namespace {

std::vector<std::byte> stored_bytes(const at::Tensor& values, const DatasetLayout& dataset) {
  const at::Tensor v = values.contiguous();
  const auto count = static_cast<std::size_t>(v.numel());
  if (v.scalar_type() == at::kDouble)
    return to_bytes(std::span<const double>(v.data_ptr<double>(), count), dataset.type);
  return to_bytes(std::span<const float>(v.data_ptr<float>(), count), dataset.type);
}

/// A piece of the checksum.
struct Checksum {
  std::int64_t crc = 0;
  std::int64_t bytes = 0;

  void append(std::span<const std::byte> more) {
    append({static_cast<std::int64_t>(crc32_of(more)), static_cast<std::int64_t>(more.size())});
  }
  void append(const Checksum& more) {
    crc = crc32_combine(static_cast<std::uint32_t>(crc), static_cast<std::uint32_t>(more.crc),
                        static_cast<std::size_t>(more.bytes));
    bytes += more.bytes;
  }
};

/// What a group's first rank hears of every rank.
struct RankPart {
  Checksum x, z;
  ImageTiming timing;
};

/// The mean and the largest over the ranks, float64 [2].
at::Tensor mean_and_largest(const std::vector<RankPart>& parts,
                            const std::function<double(const ImageTiming&)>& seconds) {
  double sum = 0.0, largest = 0.0;
  for (const RankPart& part : parts) {
    sum += seconds(part.timing);
    largest = std::max(largest, seconds(part.timing));
  }
  return at::tensor({sum / static_cast<double>(parts.size()), largest}, at::kDouble);
}

/// One image on its way into the file, as one rank of its group sees it.
class ImageWriting {
 public:
  ImageWriting(ResultsFile& results, std::int64_t row, const Prior& prior, const ImageProblem& image,
               const Solution& solution, Collective& group)
      : results_(results),
        layout_(results.layout()),
        row_(row),
        prior_(prior),
        image_(image),
        solution_(solution),
        group_(group),
        x_(layout_.find(schema::kParticles.path)),
        z_(layout_.find(schema::kLatents.path)),
        moments_(image.shape.channels * image.shape.height * image.shape.width,
                 solution.state.share.particles) {}

  /// Decodes this rank's particles, writes them where they are asked for, and computes what is kept of all.
  /// Throws Diverged on all ranks alike.
  void write_particles() {
    PosteriorProducts products(layout_, image_, solution_.state,
                               [this](const ParticleBatch& batch) { return decode(batch); });
    for (std::size_t b = 0; b < solution_.state.batches.size(); ++b) {
      const ParticleBatch& batch = solution_.state.batches[b];
      if (batch.counted == 0) continue;
      const at::Tensor x = decode(batch);
      products.add(b, x);
      moments_.add(x.flatten(1), batch.counted);
      if (x_) write(*x_, x, batch, own_.x);
      if (z_) write(*z_, batch.z, batch, own_.z);
    }
    moments_.start(group_);
    moments_.wait();
    if (moments_.diverged()) throw Diverged(solution_.state.step);
    values_ = products.finish(group_);
    if (!layout_.find(schema::kKsd.path)) return;
    Prior last = prior_;
    if (last.full_codec) last.codec = last.full_codec;  // by which the particles were moved last
    const Problem problem{last, *image_.forward, image_.y, image_.shape,
                          layout_.images[static_cast<std::size_t>(row_)].id};
    const SteinDiscrepancy stein = stein_discrepancy(problem, solution_.state, image_.sigma, group_);
    values_[schema::kKsd.path] = at::scalar_tensor(stein.value, at::kDouble);
    values_[schema::kKsdP.path] = at::scalar_tensor(stein.p, at::kDouble);
  }

  /// The parts of all ranks, in rank order, which is particle order.
  std::vector<RankPart> parts(const ImageTiming& timing) {
    own_.timing = timing;
    std::vector<RankPart> all(static_cast<std::size_t>(group_.size()));
    group_.all_gather(std::as_bytes(std::span(&own_, 1)), std::as_writable_bytes(std::span(all)));
    // Every rank's particles are on disk before the commit record is; the first rank's own sync covers only
    // its host.
    if (group_.rank() != 0 && (x_ || z_)) results_.sync(row_);
    group_.barrier();
    return all;
  }

  /// Writes what is one for all ranks, and the commit record last. By the first rank.
  void commit(const std::vector<RankPart>& parts, const ImageTiming& timing) {
    set_values(parts, timing);
    std::map<std::string, Checksum> checksums;
    for (const auto& [path, tensor] : values_) {
      const DatasetLayout* dataset = layout_.find(path);
      if (!dataset) continue;
      const std::vector<std::byte> bytes = stored_bytes(embedded(tensor, dataset->row_shape), *dataset);
      results_.write(path, row_, 0, bytes);
      checksums[path].append(bytes);
    }
    for (const RankPart& part : parts) {
      checksums[schema::kParticles.path].append(part.x);
      checksums[schema::kLatents.path].append(part.z);
    }
    Checksum whole;
    for (const DatasetLayout& dataset : checksummed_datasets(layout_)) whole.append(checksums[dataset.path]);
    results_.commit(row_, static_cast<std::uint32_t>(whole.crc), static_cast<float>(timing.total));
  }

 private:
  /// [M, C, H, W] of [M, C, H', W'].
  at::Tensor decode(const ParticleBatch& batch) const {
    return restored_images(prior_, batch).narrow(2, 0, image_.shape.height).narrow(3, 0, image_.shape.width);
  }

  void write(const DatasetLayout& dataset, const at::Tensor& values, const ParticleBatch& batch,
             Checksum& checksum) {
    std::vector<std::int64_t> rows = dataset.row_shape;
    rows[0] = batch.counted;
    const std::vector<std::byte> bytes =
        stored_bytes(embedded(values.slice(0, 0, batch.counted), rows), dataset);
    results_.write(dataset.path, row_, batch.first * (dataset.row_values() / dataset.row_shape[0]), bytes);
    checksum.append(bytes);
  }

  /// Chi-squared that is left of y by what the autoencoder makes of the truth, where it is not known of the
  /// operator's trivial inverse; NaN where there is neither. The inverse of what is no image (Fourier
  /// samples, projections) has artefacts that no autoencoder has to keep, and says nothing.
  double autoencoder_chi_squared() const {
    at::Tensor x = image_.truth;
    if (!x.defined() && image_.forward->measures_image())
      if (const at::Tensor inverse = image_.forward->trivial_inverse(image_.y.unsqueeze(0), image_.sigma);
          inverse.defined())
        x = inverse.squeeze(0);
    const double expected =
        static_cast<double>(image_.forward->observed_count()) * image_.sigma * image_.sigma;
    if (!x.defined() || !(expected > 0)) return std::numeric_limits<double>::quiet_NaN();
    const at::Tensor shown = autoencoded(prior_, x.clamp(-1, 1)).to(at::kFloat);
    const at::Tensor residual = image_.forward->apply(shown.unsqueeze(0).contiguous()).squeeze(0) - image_.y;
    return residual.to(at::kDouble).square().sum().item<double>() / expected;
  }

  /// Those that the file has no dataset for are not written.
  void set_values(const std::vector<RankPart>& parts, const ImageTiming& timing) {
    const std::vector<std::int64_t> shape{image_.shape.channels, image_.shape.height, image_.shape.width};
    values_[schema::kPosteriorMean.path] = moments_.mean().view(shape);
    values_[schema::kPosteriorStd.path] = moments_.variance().sqrt().view(shape);
    values_[schema::kMeasurement.path] = image_.y;
    values_[schema::kTruth.path] = image_.truth;
    if (layout_.find(schema::kAutoencoder.path))
      values_[schema::kAutoencoder.path] = at::scalar_tensor(autoencoder_chi_squared(), at::kDouble);
    values_[schema::kSigma.path] = at::scalar_tensor(image_.sigma, at::kFloat);
    for (const auto& [name, array] : image_.arrays) values_[schema::kProblemArray.named(name)] = array;
    values_[schema::kTimingCompute.path] =
        mean_and_largest(parts, [](const ImageTiming& t) { return t.total - t.waited; });
    values_[schema::kTimingWait.path] =
        mean_and_largest(parts, [](const ImageTiming& t) { return t.waited; });
    values_[schema::kTimingProcessors.path] =
        mean_and_largest(parts, [](const ImageTiming& t) { return t.processors; });
    for (std::size_t k = 0; k < kStepPartNames.size(); ++k) {
      values_[schema::kTimingStep.named(kStepPartNames[k])] =
          mean_and_largest(parts, [k](const ImageTiming& t) { return t.parts[k]; });
    }
    values_[schema::kTimingGroup.path] = at::scalar_tensor(timing.group, at::kDouble);
    for (const std::string& name : Diagnostics::names()) {
      values_[schema::kDiagnostic.named(name)] =
          at::tensor(at::ArrayRef<double>(solution_.diagnostics.named(name)), at::kDouble);
    }
  }

  ResultsFile& results_;
  const ResultsLayout& layout_;
  const std::int64_t row_;
  const Prior& prior_;
  const ImageProblem& image_;
  const Solution& solution_;
  Collective& group_;
  const DatasetLayout *x_, *z_;  // null where particles are not stored
  EnsembleMoments moments_;
  RankPart own_;
  std::map<std::string, at::Tensor> values_;
};

}  // namespace

void write_image(ResultsFile& results, std::int64_t row, const Prior& prior, const ImageProblem& image,
                 const Solution& solution, Collective& group, const ImageTiming& timing) {
  ImageWriting writing(results, row, prior, image, solution, group);
  writing.write_particles();
  const std::vector<RankPart> parts = writing.parts(timing);
  if (group.rank() == 0) writing.commit(parts, timing);
}

}  // namespace dwgf
