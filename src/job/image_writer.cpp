#include "job/image_writer.hpp"

#include <map>

#include <ATen/ATen.h>

#include <dwgf/flow/fixed_point.hpp>

#include "flow/diverged.hpp"
#include "job/operator_files.hpp"
#include "job/posterior_products.hpp"
#include "posterior/stein.hpp"

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

}  // namespace

void write_image(ResultsFile& results, std::int64_t row, const RestoreJob& job, const Prior& prior,
                 const ImageProblem& image, const Solution& solution, Collective& group,
                 const ImageTiming& timing) {
  const ResultsLayout& layout = results.layout();
  const DatasetLayout* x_dataset = layout.find("/particles/x");
  const DatasetLayout* z_dataset = layout.find("/particles/z");
  const std::vector<std::int64_t> shape{image.shape.channels, image.shape.height, image.shape.width};
  EnsembleMoments moments(image.shape.channels * image.shape.height * image.shape.width,
                          job.flow().particles);
  std::map<std::string, Checksum> own;

  const auto write_particles = [&](const DatasetLayout& dataset, const at::Tensor& values,
                                   const ParticleBatch& batch) {
    std::vector<std::int64_t> rows = dataset.row_shape;
    rows[0] = batch.counted;
    const std::vector<std::byte> bytes =
        stored_bytes(embedded(values.slice(0, 0, batch.counted), rows), dataset);
    results.write(dataset.path, row, batch.first * (dataset.row_values() / dataset.row_shape[0]), bytes);
    own[dataset.path].append(bytes);
  };

  const auto decode = [&](const ParticleBatch& batch) {
    return restored_images(prior, batch)
        .narrow(2, 0, image.shape.height)
        .narrow(3, 0, image.shape.width);  // [M, C, H, W] of [M, C, H', W']
  };
  PosteriorProducts products(layout, image, solution.state, decode);
  for (std::size_t b = 0; b < solution.state.batches.size(); ++b) {
    const ParticleBatch& batch = solution.state.batches[b];
    if (batch.counted == 0) continue;
    const at::Tensor x = decode(batch);
    products.add(b, x);
    moments.add(x.flatten(1), batch.counted);
    if (x_dataset) write_particles(*x_dataset, x, batch);
    if (z_dataset) write_particles(*z_dataset, batch.z, batch);
  }
  moments.start(group);
  moments.wait();
  if (moments.diverged()) throw Diverged(solution.state.step);
  std::map<std::string, at::Tensor> values = products.finish(group);
  if (layout.find("/posterior/ksd")) {
    const Problem problem{prior, *image.forward, image.y, image.shape,
                          layout.images[static_cast<std::size_t>(row)].id};
    values["/posterior/ksd"] =
        at::scalar_tensor(stein_discrepancy(problem, solution.state, image.sigma, group), at::kDouble);
  }

  // The parts of all ranks, in rank order, which is particle order.
  const RankPart mine{{static_cast<std::int64_t>(own["/particles/x"].crc), own["/particles/x"].bytes},
                      {static_cast<std::int64_t>(own["/particles/z"].crc), own["/particles/z"].bytes},
                      timing};
  std::vector<RankPart> parts(static_cast<std::size_t>(group.size()));
  group.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(parts)));
  // Every rank's particles are on disk before the commit record is; the first rank's own sync covers only its
  // host.
  if (group.rank() != 0 && (x_dataset || z_dataset)) results.sync(row);
  group.barrier();
  if (group.rank() != 0) return;

  values["/posterior/mean"] = moments.mean().view(shape);
  values["/posterior/std"] = moments.variance().sqrt().view(shape);
  values["/measurement/y"] = image.y;
  if (layout.find("/truth/x")) values["/truth/x"] = image.truth;
  if (layout.find("/problem/sigma")) values["/problem/sigma"] = at::scalar_tensor(image.sigma, at::kFloat);
  for (const auto& [name, array] : image.arrays)
    if (layout.find("/problem/" + name)) values["/problem/" + name] = array;
  values["/timing/compute"] =
      mean_and_largest(parts, [](const ImageTiming& t) { return t.total - t.waited; });
  if (layout.find("/timing/group")) values["/timing/group"] = at::scalar_tensor(timing.group, at::kDouble);
  values["/timing/wait"] = mean_and_largest(parts, [](const ImageTiming& t) { return t.waited; });
  for (const std::string& name : Diagnostics::names()) {
    values["/diagnostics/" + name] =
        at::tensor(at::ArrayRef<double>(solution.diagnostics.named(name)), at::kDouble);
  }
  std::map<std::string, Checksum> checksums;
  for (const auto& [path, tensor] : values) {
    const DatasetLayout& dataset = *layout.find(path);
    const std::vector<std::byte> bytes = stored_bytes(embedded(tensor, dataset.row_shape), dataset);
    results.write(path, row, 0, bytes);
    checksums[path].append(bytes);
  }
  for (const RankPart& part : parts) {
    checksums["/particles/x"].append(part.x);
    checksums["/particles/z"].append(part.z);
  }
  Checksum whole;
  for (const DatasetLayout& dataset : checksummed_datasets(layout)) whole.append(checksums[dataset.path]);
  results.commit(row, static_cast<std::uint32_t>(whole.crc), static_cast<float>(timing.total));
}

}  // namespace dwgf
