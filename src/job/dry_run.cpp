#include "job/dry_run.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <optional>
#include <thread>

#include <sys/resource.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/flow/solve.hpp>

#include "base/log.hpp"
#include "catalogue/methods.hpp"
#include "job/build.hpp"
#include "job/device_memory.hpp"

namespace dwgf {

namespace {

struct StepCost {
  double seconds = 0.0;
  std::uint64_t peak_bytes = 0;
};

/// The peak of a device's memory, or of this process's.
std::uint64_t peak_bytes(const c10::Device& device) {
  if (const auto memory = device_memory(device)) return memory->peak;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// One step of one micro-batch, timed the second time.
std::optional<StepCost> measure_step(const RestoreJob& job) {
  Communicator self = Communicator::self();
  const c10::Device device = job.prior().options.device();
  TensorGroup tensors(self, device);
  FlowObserver nobody;
  restart_peak(device);
  for (std::int64_t row = 0; row < static_cast<std::int64_t>(job.images().size()); ++row) {
    try {
      const ImageProblem image = job.prepare(row);
      FlowOptions options = job.flow();
      options.particles = options.micro_batch;
      options.steps = 1;
      const std::unique_ptr<NoiseModel> noise = job.noise(image);
      const Problem problem{
          job.prior(), *image.forward, image.y, image.shape, job.images()[static_cast<std::size_t>(row)].id,
          noise.get()};
      solve(problem, options, tensors.with(self), nobody);
      const auto start = std::chrono::steady_clock::now();
      solve(problem, options, tensors.with(self), nobody);
      return StepCost{std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
                      peak_bytes(device)};
    } catch (const Error&) {
      continue;
    }
  }
  return std::nullopt;
}

/// Kibibytes that the kernel reports under this name; 0 where it does not.
std::uint64_t reported(const char* file, const std::string& name) {
  std::ifstream in(file);
  std::string word;
  std::uint64_t value = 0;
  while (in >> word) {
    if (word == name && in >> value) return value * 1024;
  }
  return 0;
}

/// What LibTorch's and oneDNN's code and buffers take more once every kind of call was made: 60 to 90 MiB
/// were seen.
constexpr std::uint64_t kLibraries = std::uint64_t{64} << 20;

/// What a rank takes of its host's memory, or of its device's: from what it has now, with its weights loaded,
/// and the shapes of a step.
struct MemoryPlan {
  std::uint64_t now = 0, step = 0;
  std::uint64_t peak() const { return now + step; }
};

/// What this process holds of the memory that it computes in; 0 where nobody says.
std::uint64_t bytes_now(const c10::Device& device) {
  if (device.is_cpu()) {
    const std::uint64_t resident = reported("/proc/self/status", "VmRSS:");
    return resident == 0 ? 0 : resident + kLibraries;
  }
  const auto memory = device_memory(device);
  return memory ? memory->now : 0;
}

/// What is left of it; 0 where nobody says.
std::uint64_t bytes_available(const c10::Device& device) {
  if (device.is_cpu()) return reported("/proc/meminfo", "MemAvailable:");
  const auto memory = device_memory(device);
  return memory ? memory->free : 0;
}

/// For the largest image; nothing where the prior cannot say, and for methods that keep the U-Net's graph.
std::optional<MemoryPlan> expected_memory(const RestoreJob& job, std::int64_t batches) {
  const FlowOptions& flow = job.flow();
  const MethodEntry& method = entry_of(flow.method);
  if (method.keeps_graph) return std::nullopt;
  Canvas largest;
  for (const ImageEntry& image : job.images()) {
    if (image.height == 0 || image.width == 0) continue;
    const Canvas canvas = job.prior().geometry.canvas(image.height, image.width);
    if (canvas.height * canvas.width > largest.height * largest.width) largest = canvas;
  }
  const std::uint64_t now = bytes_now(job.prior().options.device());
  if (!job.prior().step_bytes || now == 0 || largest.height == 0) return std::nullopt;
  const std::uint64_t step =
      job.prior().step_bytes(flow.micro_batch, largest.latent_height, largest.latent_width);
  // Positions and two moments of every particle, and a few images of one micro-batch.
  const PriorGeometry& geometry = job.prior().geometry;
  const std::int64_t state = 3 * batches * flow.micro_batch * geometry.latent_channels *
                             largest.latent_height * largest.latent_width;
  const std::int64_t kept_images = method.moves_images ? 3 * batches : 0;
  const std::int64_t images =
      (6 + kept_images) * flow.micro_batch * geometry.image_channels * largest.height * largest.width;
  const auto element = static_cast<std::uint64_t>(job.prior().options.dtype().itemsize());
  return MemoryPlan{now, step + static_cast<std::uint64_t>(state + images) * element};
}

}  // namespace

std::uint64_t disk_bytes(const ResultsLayout& layout) {
  std::uint64_t image = 256 + 128 + 32;  // its records
  for (const DatasetLayout& dataset : layout.datasets) image += dataset.row_bytes();
  return layout.images.size() * image;
}

void print_plan(const RestoreJob& job, const GridPlace& place, int ranks, const ComputeDevice& device) {
  const FlowOptions& flow = job.flow();
  const ResultsLayout layout = job.layout("");
  const ParticleShare share = share_particles(flow.particles, flow.micro_batch, 0, place.group_size);
  const std::int64_t steps = step_count(flow);
  const std::uint64_t disk = disk_bytes(layout);

  std::printf("# effective options\n%s\n# plan\n", job.settings().ini().c_str());
  std::printf("ranks               %d in %d group%s of up to %d\n", ranks, place.groups,
              place.groups == 1 ? "" : "s", place.group_size);
  std::printf("GPUs                computes on %s\n", describe(device.device).c_str());
  if (!device.device.is_cpu())
    std::printf("exchange            %s\n",
                device.connected ? "NCCL" : ("host memory: " + device.why).c_str());
  std::printf("images              %zu, about %zu a group\n", layout.images.size(),
              (layout.images.size() + static_cast<std::size_t>(place.groups) - 1) /
                  static_cast<std::size_t>(place.groups));
  std::printf("particles           %lld an image, up to %lld a rank in micro-batches of %lld\n",
              static_cast<long long>(flow.particles),
              static_cast<long long>(share.batches_per_rank * flow.micro_batch),
              static_cast<long long>(flow.micro_batch));
  const std::vector<Level> levels = flow_levels(*job.prior().path, flow);
  std::printf("steps               %lld, times %g ... %g\n", static_cast<long long>(steps),
              levels.front().time, levels[static_cast<std::size_t>(steps - 1)].time);
  std::printf("disk                %s\n", human_bytes(disk).c_str());
  std::fflush(stdout);
  print_warnings(job, place);
  if (job.prior().probe) {
    if (const auto warning = job.prior().probe()) log_job(LogLevel::warning, *warning);
  }
  const std::optional<MemoryPlan> memory = expected_memory(job, share.batches_per_rank);
  if (memory) {
    std::printf("memory              %s a rank expected: %s for the program and the weights, %s for a step\n",
                human_bytes(memory->peak()).c_str(), human_bytes(memory->now).c_str(),
                human_bytes(memory->step).c_str());
    std::fflush(stdout);
  }
  const std::uint64_t available = bytes_available(device.device);
  if (memory && available > 0 && memory->step > available) {
    std::printf("memory, cost        not measured: this %s has only %s available\n",
                device.device.is_cpu() ? "host" : "device", human_bytes(available).c_str());
  } else if (const std::optional<StepCost> cost = measure_step(job)) {
    const double per_image = cost->seconds * static_cast<double>(share.batches_per_rank * steps);
    const double rounds = std::ceil(static_cast<double>(layout.images.size()) / place.groups);
    std::printf("memory              %s a rank measured (the peak of one step)\n",
                human_bytes(cost->peak_bytes).c_str());
    std::printf("cost                %.3g s a step of one micro-batch (measured), %s an image, %s in all\n",
                cost->seconds, human_duration(per_image).c_str(), human_duration(per_image * rounds).c_str());
  } else {
    std::printf("memory, cost        not measured: no image could be read\n");
  }
}

void print_warnings(const RestoreJob& job, const GridPlace& place) {
  const FlowOptions& flow = job.flow();
  for (const std::string& warning : job.warnings()) log_job(LogLevel::warning, warning);
  const NoisePath& path = *job.prior().path;
  const double first_time = path.levels(flow.grid).front().time, early = 0.9 * path.first().time;
  const bool own_levels = entry_of(flow.method).own_levels || flow.start == Start::kalman;
  if (first_time < early && !own_levels) {
    log_job(LogLevel::warning,
            formatted("flow.grid = {} starts at t = {}, so the flow never sees the noisiest levels; a grid "
                      "that divides the model's times less evenly, or a longer one, starts above t = {}",
                      flow.grid, first_time, std::ceil(early)));
  }
  const std::int64_t wanted = job.input().layout.ranks_per_image;
  if (wanted > place.group_size && place.group == 0 && place.groups == 1) {
    log_job(LogLevel::warning,
            formatted("run.ranks_per_image = {}, but there are only {} ranks; they share every image", wanted,
                      place.group_size));
  }
  const auto threads = static_cast<unsigned>(job.input().layout.threads);
  if (threads > std::thread::hardware_concurrency()) {
    log_job(
        LogLevel::warning,
        formatted("run.threads = {}, but this host has {} processors; more threads than that slow it down",
                  threads, std::thread::hardware_concurrency()));
  }
  const ParticleShare last =
      share_particles(flow.particles, flow.micro_batch, place.group_size - 1, place.group_size);
  if (last.batches == 0) {
    log_job(LogLevel::warning,
            "some ranks of each group have no particles; flow.micro_batch <= flow.particles / "
            "run.ranks_per_image gives every rank work");
  }
}

}  // namespace dwgf
