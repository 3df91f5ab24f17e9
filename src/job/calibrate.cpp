#include "job/calibrate.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <thread>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <unistd.h>

#include <dwgf/base/random.hpp>
#include <dwgf/base/text.hpp>

#include "base/log.hpp"
#include "base/replace_file.hpp"
#include "comm/throw_on_all.hpp"
#include "comm/work_queue.hpp"
#include "flow/draws.hpp"
#include "job/build.hpp"
#include "job/calibration_images.hpp"
#include "job/calibration_parts.hpp"
#include "job/compute_device.hpp"
#include "job/same_job.hpp"
#include "prior/moment_fit.hpp"
#include "prior/moment_sums.hpp"
#include "prior/moments.hpp"
#include "prior/oom_guard.hpp"
#include "service/heartbeat.hpp"
#include "service/launcher.hpp"
#include "service/progress.hpp"
#include "service/stop_flag.hpp"

namespace dwgf {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMostFullEntries = 4096;

/// The path's levels nearest to these, without repetitions, the cleanest first.
std::vector<Level> nearest_levels(const NoisePath& path, const std::vector<double>& ratios) {
  std::vector<Level> levels;
  for (const double ratio : ratios) {
    const Level nearest = path.nearest(ratio);
    if (levels.empty() || levels.back() != nearest) levels.push_back(nearest);
  }
  return levels;
}

/// The sums of a calibration, and what is added to them.
class Calibration {
 public:
  /// Collective over `ranks`.
  Calibration(const Settings& settings, const Prior& prior, Collective& ranks)
      : settings_(settings),
        prior_(prior),
        images_(calibration_images(input(), prior, ranks)),
        levels_(nearest_levels(*prior.path, input().levels)),
        shape_(chosen_shape()) {
    // The prior's own, and one of every level.
    for (std::size_t k = 0; k < levels_.size() + 1; ++k)
      sums_.emplace_back(shape_, static_cast<std::int64_t>(images_->blocks().size()), prior.options.device());
  }

  const CalibrateInput& input() const { return settings_.as<CalibrateInput>(); }
  const CalibrationImages& images() const { return *images_; }
  const std::vector<Level>& levels() const { return levels_; }
  std::size_t numbers() const { return sums_.size() * (shape_.bytes() / sizeof(std::int64_t)); }

  /// Of what is summed.
  std::uint64_t identity() const {
    std::string text = formatted("{}{} {} {} {} {}", version(), prior_.sha256, images_->identity(),
                                 input().seed, input().batch, shape_.reach.value_or(-1));
    for (const char* key : {"flow.precision", "prior.unet_precision", "prior.autoencoder_precision",
                            "prior.prompt", "prior.context", "run.threads"})
      text += " " + settings_.text(key);
    if (input().prior.guidance != 1.0)
      text += formatted(" {} {}", input().prior.guidance, input().prior.negative_prompt);
    for (const Level& level : levels_) text += formatted(" {}", level.time);
    return fnv1a(text);
  }

  /// The prior's memory for a network call, and that of the sums with a copy to write and to exchange.
  void tell_memory() const {
    const std::uint64_t sums = 2 * numbers() * sizeof(std::int64_t);
    const Canvas& canvas = images_->blocks().back().canvas;
    std::string text = formatted("memory: {} a rank for the sums", human_bytes(sums));
    if (prior_.step_bytes) {
      text +=
          formatted(", up to {} for a network call",
                    human_bytes(prior_.step_bytes(input().batch, canvas.latent_height, canvas.latent_width)));
    }
    log_job(LogLevel::info, text);
  }

  /// Adds a block's images; `level_done` is called after every level.
  void measure(const CalibrationBlock& block, const std::function<void()>& level_done) {
    const at::NoGradGuard no_gradients;
    const Cells cells(prior_.geometry, block.canvas);
    const at::Tensor read = images_->read(block).to(prior_.options);
    // Every network call is of the same size: the last image fills a block that has fewer.
    const at::Tensor x =
        at::cat({read, read.narrow(0, block.count - 1, 1).expand({input().batch - block.count, -1, -1, -1})});
    const at::Tensor z = prior_.codec->encode(x).mean;
    sums_[0].add(cells.join(z, x), block.count);
    for (std::size_t k = 0; k < levels_.size(); ++k) {
      const auto [a, s, time] = levels_[k];
      const at::Tensor noise = normals_like(z, {input().seed, 0, static_cast<std::uint32_t>(block.first),
                                                static_cast<std::uint32_t>(k), Purpose::noising});
      const at::Tensor noised = a * z + s * noise;
      const at::Tensor clean = (noised - s * prior_.noise(noised, levels_[k])) / a;
      const at::Tensor shown = prior_.codec->decode(clean).clamp(-1, 1);
      sums_[k + 1].add(cells.join(z - clean, x - shown), block.count);
      level_done();
    }
  }

  void read_from(const std::vector<std::int64_t>& numbers) {
    const std::span all(numbers);
    const std::size_t each = all.size() / sums_.size();
    for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k].read_from(all.subspan(k * each, each));
  }
  void write_to(std::vector<std::int64_t>& numbers) const {
    const std::span all(numbers);
    const std::size_t each = all.size() / sums_.size();
    for (std::size_t k = 0; k < sums_.size(); ++k) sums_[k].write_to(all.subspan(k * each, each));
  }

  /// What all images together make. @param fitted  called after each of the levels() + 1 fits
  PriorMoments moments(const std::function<void()>& fitted) const {
    for (const MomentSums& sums : sums_) {
      if (sums.out_of_range() == 0) continue;
      throw DataError(
          "the prior's networks gave values that are not finite, or far out of range, for {} of {} blocks of "
          "images; use a wider flow.precision (fp32), or check the prior with `dwgf doctor`",
          sums.out_of_range(), images_->blocks().size());
    }
    MomentFit fit{.rank = input().rank, .mix = input().mix, .radius = input().radius};
    std::vector<PriorMoments::AtLevel> levels;
    for (std::size_t k = 0; k < levels_.size(); ++k) {
      const MomentSums& sums = sums_[k + 1];
      levels.push_back({log_ratio(levels_[k]), shape_.reach ? fit_shift_invariant(sums.offsets(), fit)
                                                            : fit_full(sums.second(), shape_, fit)});
      fitted();
    }
    fit.mix = 0.0;
    const JointMoments covariance = prior_covariance(fit);
    fitted();
    return {std::move(levels), sums_[0].mean().to(at::kFloat), covariance, about()};
  }

 private:
  MomentShape chosen_shape() const {
    const Cells cells(prior_.geometry, images_->blocks().front().canvas);
    const bool one_size = images_->one_size(), few = cells.entries() <= kMostFullEntries;
    if (input().form == MomentForm::full && !(one_size && few)) {
      throw UsageError(
          "--form full: it is of images of one size that have, with their latents, at most {} entries, and "
          "these {}; leave it out, or set --form shift-invariant",
          kMostFullEntries,
          one_size ? formatted("have {}", cells.entries()) : std::string("have several sizes"));
    }
    const bool full = input().form != MomentForm::shift_invariant && one_size && few;
    MomentShape shape{cells.values(), cells.rows(), cells.columns()};
    if (!full) shape.reach = reach();
    return shape;
  }

  /// No further than the smallest image has pairs.
  std::int64_t reach() const {
    std::int64_t reach = input().radius;
    for (const CalibrationBlock& block : images_->blocks()) {
      const Cells cells(prior_.geometry, block.canvas);
      reach = std::min(reach, std::max(cells.rows(), cells.columns()) - 1);
    }
    return reach;
  }

  JointMoments prior_covariance(const MomentFit& fit) const {
    const at::Tensor mean = sums_[0].mean().flatten();
    const at::Tensor product = at::outer(mean, mean);
    if (!shape_.reach) return fit_full(sums_[0].second() - product, shape_, fit);
    OffsetMoments offsets = sums_[0].offsets();
    offsets.values = offsets.values - product;
    return fit_shift_invariant(offsets, fit);
  }

  std::map<std::string, std::string> about() const {
    std::map<std::string, std::string> about{{"prior_sha256", prior_.sha256},
                                             {"images", formatted("{}", images_->count())},
                                             {"source", images_->source()},
                                             {"version", version()},
                                             {"form", shape_.reach ? "shift-invariant" : "full"}};
    for (const char* key : {"seed", "batch", "flow.precision"}) about[key] = settings_.text(key);
    if (!shape_.reach) {
      about["rank"] = settings_.text("rank");
      about["mix"] = settings_.text("mix");
    }
    return about;
  }

  const Settings& settings_;
  const Prior& prior_;
  std::unique_ptr<CalibrationImages> images_;
  std::vector<Level> levels_;
  MomentShape shape_;
  std::vector<MomentSums> sums_;
};

/// Where the file goes; checked before anything is measured. Throws IoError.
std::string checked_target(const CalibrateInput& input) {
  const std::string target = input.to.empty() ? moments_file(input.prior.path) : input.to;
  const std::string folder = directory_of(target);
  if (::access(folder.c_str(), W_OK) != 0) {
    throw IoError("{} cannot be written: {} is not there or not writable; name another file by --to{}",
                  target, folder, input.to.empty() ? ", and that file to `restore` by prior.moments" : "");
  }
  return target;
}

/// One run: blocks from one queue until all are done or someone asks to stop.
class CalibrationRun {
 public:
  CalibrationRun(Communicator& world, ScopedSignals& signals, Calibration& calibration,
                 const std::string& file)
      : world_(world),
        signals_(signals),
        calibration_(calibration),
        parts_(file, calibration.identity(), calibration.images().blocks().size(), calibration.numbers()),
        stop_flag_(world) {}

  /// Whether all was measured; then the calibration has everybody's sums.
  bool measured() {
    std::vector<std::uint8_t> done;
    part_ = parts_.take_up(world_, done);
    calibration_.tell_memory();
    calibration_.read_from(part_.sums);
    std::vector<std::size_t> left;
    for (std::size_t k = 0; k < done.size(); ++k)
      if (!done[k]) left.push_back(k);
    if (left.size() < done.size()) {
      log_job(LogLevel::info, formatted("{} of {} blocks of images were measured already",
                                        done.size() - left.size(), done.size()));
    }
    const bool stopped = measure(left);
    if (stopped || Clock::now() - start_ > std::chrono::minutes(1)) keep();
    std::int64_t any[1] = {stopped};
    const auto counted = world_.start_all_reduce_max(any);
    // A rank that has nothing left to do may be the one that is asked to stop the others.
    while (!counted->advance()) {
      stop_flag_.stopping(signals_.stop_requested());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (any[0]) return false;
    calibration_.write_to(part_.sums);
    world_.all_reduce_sum(part_.sums);
    calibration_.read_from(part_.sums);
    return true;
  }

  void remove_parts() const { parts_.remove(); }

 private:
  /// True where it was stopped.
  bool measure(const std::vector<std::size_t>& left) {
    const auto& blocks = calibration_.images().blocks();
    const auto count = static_cast<std::int64_t>(left.size());
    Progress progress(world_, world_.size(), world_.rank(), true,
                      {count, static_cast<std::int64_t>(calibration_.levels().size())}, {},
                      {"calibrate-prior", formatted("blocks of {} images", calibration_.input().batch)});
    WorkQueue queue(world_, count);
    bool stopped = false;
    kept_ = Clock::now();
    while (!(stopped = stop_flag_.stopping(signals_.stop_requested()))) {
      const std::optional<std::int64_t> item = queue.take();
      if (!item) break;
      const std::size_t block = left[static_cast<std::size_t>(*item)];
      measure_block(blocks[block], progress);
      part_.done[block] = 1;
      progress.image_done(false);
      const std::chrono::duration<double> since = Clock::now() - kept_;
      const double seconds = calibration_.input().layout.checkpoint_seconds;
      if (seconds > 0 && since.count() > seconds) keep();
    }
    progress.finish([&] { stop_flag_.stopping(signals_.stop_requested()); });
    return stopped;
  }

  /// Throws RankError where there is no memory for it, with what to choose smaller.
  void measure_block(const CalibrationBlock& block, Progress& progress) {
    try {
      calibration_.measure(block, [&] { progress.step_done(); });
    } catch (const std::exception& error) {
      const auto shortage = shortage_of_memory(error, calibration_.input().batch, says_no_memory, "--batch");
      if (shortage) throw RankError(*shortage);
      throw;
    }
  }

  void keep() {
    calibration_.write_to(part_.sums);
    parts_.keep(world_.rank(), part_);
    kept_ = Clock::now();
  }

  Communicator& world_;
  ScopedSignals& signals_;
  Calibration& calibration_;
  CalibrationParts parts_;
  StopFlag stop_flag_;
  CalibrationPart part_;
  Clock::time_point start_ = Clock::now(), kept_ = start_;
};

/// On one rank: the moments of the sums, written.
void write_fitted(const Calibration& calibration, const std::string& file) {
  const Clock::time_point start = Clock::now();
  const auto fits = static_cast<double>(calibration.levels().size() + 1);
  double done = 0;
  const PriorMoments moments = calibration.moments([&] {
    const std::chrono::duration<double> seconds = Clock::now() - start;
    if (++done == 1 && seconds.count() * fits > 5)
      log_job(LogLevel::info, formatted("fitting, {} left", human_duration(seconds.count() * (fits - 1))));
  });
  write_moments(file, moments);
  std::error_code ignored;
  log_job(LogLevel::info,
          formatted("the {} moments of {} images at {} noise levels to {}, {}", moments.about().at("form"),
                    calibration.images().count(), calibration.levels().size(), file,
                    human_bytes(std::filesystem::file_size(file, ignored))));
}

}  // namespace

ExitCode calibrate(Communicator& world, const Settings& settings, ScopedSignals& signals) {
  require_same_job(world, settings);
  const CalibrateInput& input = settings.as<CalibrateInput>();
  at::set_num_threads(static_cast<int>(input.layout.threads));
  std::atomic<const char*> phase = "reading the weights and listing the images";
  std::optional<Heartbeat> heartbeat;
  if (world.rank() == 0) heartbeat.emplace([&phase] { return std::string(phase.load()); });
  signals.on_stop_asked([](bool terminates) {
    log_job(LogLevel::info, formatted("stopping after this block of images{}",
                                      terminates ? "; once more to stop at once" : ""));
  });
  const c10::Device device = compute_device(world, input.layout.device, ExchangeBy::automatic).device;
  std::string file;
  std::unique_ptr<Prior> prior;
  std::optional<Calibration> calibration;
  throw_on_all<CollectiveError>(world, [&] {
    file = checked_target(input);
    prior = build_prior(input.job(), device);
  });
  throw_on_all<CollectiveError>(world, [&] { calibration.emplace(settings, *prior, world); });
  CalibrationRun run(world, signals, *calibration, file);
  phase = "measuring the prior's errors";
  if (!run.measured()) {
    log_job(LogLevel::info, "stopped on request; the same command goes on from there");
    return ExitCode::stopped;
  }
  throw_on_all<CollectiveError>(world, [&] {
    if (world.rank() != 0) return;
    phase = "fitting the moments";
    write_fitted(*calibration, file);
    run.remove_parts();
  });
  return ExitCode::ok;
}

}  // namespace dwgf
