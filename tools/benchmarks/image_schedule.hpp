// What the ranks of one image exchange, in the program's order, with the computing left to the caller: the
// flow's loop (flow/solve, flow/terms/interaction, flow/monitor), the votes between steps
// (job/checkpoint_observer) and the end of an image (job/image_writer). Without LibTorch, so that it also
// runs in a simulator. The published objective; stored quantiles and other posterior products are left out.
// tests/flow/schedule_test.cpp compares it, call by call, with what `solve` does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <dwgf/comm/collective.hpp>
#include <dwgf/comm/grid.hpp>

namespace dwgf {

/// What decides the exchanges of an image.
struct ImageShapeOfWork {
  std::string interaction = "mixture";  ///< or gaussian, repulsion, none
  std::int64_t particles = 4, micro_batch = 1;
  std::int64_t latent_values = 4 * 64 * 64;   ///< d
  std::int64_t image_values = 3 * 512 * 512;  ///< C H W
  std::int64_t value_bytes = 4;               ///< of a latent's value
  std::int64_t record_every = 1;
  bool votes = true;  ///< about stopping and checkpoints, after every step
};

/// What a rank computes between two exchanges.
enum class Work {
  noise_prediction,  ///< the U-Net, a micro-batch
  distances,         ///< repulsion's table, a micro-batch
  median,            ///< of all distances; every rank does all of it
  gradient,          ///< interaction, data term, Adam: a micro-batch
  decoding           ///< of the last positions, a micro-batch
};

class ImageSchedule {
 public:
  using Compute = std::function<void(Work)>;
  /// memory for what is exchanged; its contents are nobody's
  using Payload = std::function<std::byte*(std::size_t bytes)>;

  /// `tensors` carries what lies on a device, `host` the numbers of the host, as in the flow.
  ImageSchedule(const ImageShapeOfWork& shape, Collective& host, Collective& tensors, Compute compute,
                Payload payload)
      : shape_(shape),
        host_(host),
        tensors_(tensors),
        compute_(std::move(compute)),
        payload_(std::move(payload)),
        share_(share_particles(shape.particles, shape.micro_batch, host.rank(), host.size())) {}

  void step(std::int64_t step) {
    const std::unique_ptr<PendingCollective> positions = begin();
    for (std::int64_t b = 0; b < share_.batches; ++b) compute_(Work::noise_prediction);
    if (positions) positions->wait();
    if (shape_.interaction == "repulsion" && shape_.particles > 1) {
      for (std::int64_t b = 0; b < share_.batches; ++b) compute_(Work::distances);
      gather(tensors_, slots() * shape_.particles * shape_.value_bytes)->wait();
      compute_(Work::median);
    }
    for (std::int64_t b = 0; b < share_.batches; ++b) compute_(Work::gradient);
    complete_record();
    if (step % shape_.record_every == 0) {
      scalars_ = gather(host_, slots() * kScalars * 8);
      moments_ = sum(host_, 2 * shape_.latent_values + 1);
    }
    if (shape_.votes) {
      if (vote_) vote_->wait();
      vote_ = host_.start_all_reduce_max({reinterpret_cast<std::int64_t*>(payload_(2 * 8)), 2});
    }
  }

  /// After the last step: what is under way, then the image.
  void finish() {
    complete_record();
    vote_.reset();
    for (std::int64_t b = 0; b < share_.batches; ++b) compute_(Work::decoding);
    for (std::int64_t first = 0; first < shape_.image_values; first += kSlabValues)
      sum(host_, 2 * std::min(kSlabValues, shape_.image_values - first) + 1)->wait();
    gather(host_, kRankPart)->wait();
    host_.barrier();
  }

 private:
  static constexpr std::int64_t kScalars = 5;    // of a particle and record
  static constexpr std::int64_t kRankPart = 48;  // bytes: two checksums and two times
  static constexpr std::int64_t kSlabValues = std::int64_t{1} << 20;

  std::int64_t slots() const { return share_.batches_per_rank * share_.micro_batch; }

  std::unique_ptr<PendingCollective> begin() {
    if (shape_.interaction == "mixture" || shape_.interaction == "repulsion")
      return gather(tensors_, slots() * shape_.latent_values * shape_.value_bytes);
    if (shape_.interaction == "gaussian") return sum(tensors_, 2 * shape_.latent_values + 1);
    return nullptr;
  }

  std::unique_ptr<PendingCollective> gather(Collective& group, std::int64_t bytes) const {
    const auto own = static_cast<std::size_t>(bytes), all = own * static_cast<std::size_t>(group.size());
    std::byte* const out = payload_(all);
    return group.start_all_gather({out + own * static_cast<std::size_t>(group.rank()), own}, {out, all});
  }

  std::unique_ptr<PendingCollective> sum(Collective& group, std::int64_t values) const {
    const auto count = static_cast<std::size_t>(values);
    return group.start_all_reduce_sum({reinterpret_cast<std::int64_t*>(payload_(count * 8)), count});
  }

  void complete_record() {
    if (scalars_) std::exchange(scalars_, nullptr)->wait();
    if (moments_) std::exchange(moments_, nullptr)->wait();
  }

  const ImageShapeOfWork shape_;
  Collective& host_;
  Collective& tensors_;
  const Compute compute_;
  const Payload payload_;
  const ParticleShare share_;
  std::unique_ptr<PendingCollective> scalars_, moments_, vote_;
};

}  // namespace dwgf
