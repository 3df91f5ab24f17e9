#include "job/image_writer.hpp"

#include <algorithm>
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
               const Solution& solution, Collective& group, std::int64_t slab_values)
      : results_(results),
        layout_(results.layout()),
        row_(row),
        prior_(prior),
        image_(image),
        solution_(solution),
        group_(group),
        x_(layout_.find(schema::kParticles.path)),
        z_(layout_.find(schema::kLatents.path)),
        values_of_image_(image.shape.channels * image.shape.height * image.shape.width),
        wanted_slab_(slab_values) {}

  /// Decodes this rank's particles, writes them where they are asked for, and computes what is kept of all,
  /// of which the first rank writes what has pixels. Throws Diverged on all ranks alike.
  void write_particles() {
    PosteriorProducts products(layout_, image_, solution_.state);
    for (std::size_t b = 0; b < solution_.state.batches.size(); ++b) {
      const ParticleBatch& batch = solution_.state.batches[b];
      if (batch.counted == 0) continue;
      const at::Tensor x = decode(batch);
      products.add(b, x);
      if (x_) write(*x_, x, batch, own_.x);
      if (z_) write(*z_, batch.z, batch, own_.z);
      if (keeps_images()) images_[b] = x.flatten(1);
    }
    const std::int64_t most = slab_values();
    for (std::int64_t first = 0; first < values_of_image_; first += most)
      write_slab(products, first, std::min(most, values_of_image_ - first));
    images_.clear();
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
    for (const auto& [path, tensor] : values_) {
      const DatasetLayout* dataset = layout_.find(path);
      if (!dataset) continue;
      const std::vector<std::byte> bytes = stored_bytes(embedded(tensor, dataset->row_shape), *dataset);
      results_.write(path, row_, 0, bytes);
      checksums_[path].append(bytes);
    }
    for (const RankPart& part : parts) {
      checksums_[schema::kParticles.path].append(part.x);
      checksums_[schema::kLatents.path].append(part.z);
    }
    Checksum whole;
    for (const DatasetLayout& dataset : checksummed_datasets(layout_)) whole.append(checksums_[dataset.path]);
    results_.commit(row_, static_cast<std::uint32_t>(whole.crc), static_cast<float>(timing.total));
  }

 private:
  /// [M, C, H, W] of [M, C, H', W'].
  at::Tensor decode(const ParticleBatch& batch) const {
    return restored_images(prior_, batch).narrow(2, 0, image_.shape.height).narrow(3, 0, image_.shape.width);
  }

  /// Of decoded particles of a rank between slabs.
  static constexpr std::int64_t kKeptBytes = std::int64_t{1} << 30;

  /// Whether this group's ranks keep their decoded particles between slabs: where they have few, which a step
  /// itself holds several times, or small ones. Else they are decoded again for every slab.
  bool keeps_images() const {
    const ParticleShare& share = solution_.state.share;
    const std::int64_t bytes = share.batches_per_rank * share.micro_batch * values_of_image_ *
                               static_cast<std::int64_t>(prior_.options.dtype().itemsize());
    return share.batches_per_rank <= 2 || bytes <= kKeptBytes;
  }
  /// Whole rows of channels, of which an image has C H.
  std::int64_t slab_values() const {
    const ParticleShare& share = solution_.state.share;
    const std::int64_t slots = share.batches_per_rank * share.micro_batch,
                       value = static_cast<std::int64_t>(sizeof(float)), width = image_.shape.width;
    const std::int64_t wanted = keeps_images() ? wanted_slab_ : kKeptBytes / (slots * value);
    return std::max<std::int64_t>(wanted / width, 1) * width;
  }

  void write_slab(PosteriorProducts& products, std::int64_t first, std::int64_t count) {
    const FlowState& state = solution_.state;
    EnsembleMoments moments(count, state.share.particles);
    products.begin(first, count);
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      if (state.batches[b].counted == 0) continue;
      const auto kept = images_.find(b);
      const at::Tensor x = kept != images_.end() ? kept->second : decode(state.batches[b]).flatten(1);
      const at::Tensor values = x.narrow(1, first, count);  // [M, count]
      products.keep(b, values);
      moments.add(values, state.batches[b].counted);
    }
    moments.start(group_);
    moments.wait();
    if (moments.diverged()) throw Diverged(state.step);
    std::map<std::string, at::Tensor> values = products.slab(group_);
    if (group_.rank() != 0) return;
    values[schema::kPosteriorMean.path] = moments.mean();
    values[schema::kPosteriorStd.path] = moments.variance().sqrt();
    for (const auto& [path, slab] : values)
      if (const DatasetLayout* dataset = layout_.find(path)) write_rows(*dataset, slab, first);
  }

  /// Whole rows of the image, from value `first` of [C, H, W] on, into the row of the file, which may be that
  /// of a larger image.
  void write_rows(const DatasetLayout& dataset, const at::Tensor& values, std::int64_t first) {
    const std::int64_t height = image_.shape.height, width = image_.shape.width,
                       full_height = dataset.row_shape[1], full_width = dataset.row_shape[2];
    const auto put = [&](const at::Tensor& rows, std::int64_t at) {
      const std::vector<std::byte> bytes = stored_bytes(rows, dataset);
      results_.write(dataset.path, row_, at, bytes);
      checksums_[dataset.path].append(bytes);
    };
    if (height == full_height && width == full_width) return put(values, first);
    const at::Tensor rows = values.view({-1, width});
    for (std::int64_t done = 0; done < rows.size(0);) {
      const std::int64_t channel = (first / width + done) / height, top = (first / width + done) % height;
      const std::int64_t here = std::min(height - top, rows.size(0) - done);
      // Below the image's last row the rest of the channel is filled.
      const std::int64_t filled = top + here == height ? full_height - top : here;
      put(embedded(rows.narrow(0, done, here), {filled, full_width}),
          (channel * full_height + top) * full_width);
      done += here;
    }
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
    values_[schema::kMeasurement.path] = image_.y;
    values_[schema::kTruth.path] = image_.truth;
    if (layout_.find(schema::kAutoencoder.path))
      values_[schema::kAutoencoder.path] = at::scalar_tensor(autoencoder_chi_squared(), at::kDouble);
    values_[schema::kSigma.path] = at::scalar_tensor(image_.sigma, at::kFloat);
    for (const UnknownEstimate& estimate : solution_.estimates) put(estimate);
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

  void put(const UnknownEstimate& estimate) {
    const auto tensor = [](const std::vector<double>& values) {
      return at::tensor(at::ArrayRef<double>(values), at::kDouble);
    };
    const std::string path = schema::kEstimated.named(estimate.name);
    values_[path] = tensor(estimate.value).view(estimate.shape);
    values_[path + "_spread"] = tensor(estimate.spread).view(estimate.shape);
    const DatasetLayout* rows = layout_.find(path + "_trace");
    // A flow that has stopped early has fewer.
    if (rows) values_[rows->path] = tensor(estimate.trace).view({-1, rows->row_shape[1]});
  }

  ResultsFile& results_;
  const ResultsLayout& layout_;
  const std::int64_t row_;
  const Prior& prior_;
  const ImageProblem& image_;
  const Solution& solution_;
  Collective& group_;
  const DatasetLayout *x_, *z_;         // null where particles are not stored
  const std::int64_t values_of_image_;  // C H W
  const std::int64_t wanted_slab_;
  std::map<std::size_t, at::Tensor> images_;   // [M, C H W] of this rank's batches
  std::map<std::string, Checksum> checksums_;  // of what the first rank writes, by dataset
  RankPart own_;
  std::map<std::string, at::Tensor> values_;
};

}  // namespace

void write_image(ResultsFile& results, std::int64_t row, const Prior& prior, const ImageProblem& image,
                 const Solution& solution, Collective& group, const ImageTiming& timing,
                 std::int64_t slab_values) {
  ImageWriting writing(results, row, prior, image, solution, group, slab_values);
  writing.write_particles();
  const std::vector<RankPart> parts = writing.parts(timing);
  if (group.rank() == 0) writing.commit(parts, timing);
}

}  // namespace dwgf
