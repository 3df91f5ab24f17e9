#include "job/ahead/step_cost.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <vector>

#include <ATen/ATen.h>
#include <sys/resource.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/flow/solve.hpp>

#include "base/log.hpp"
#include "job/compute_device.hpp"
#include "job/device_memory.hpp"
#include "job/memory_plan.hpp"

namespace dwgf {

namespace {

using Clock = std::chrono::steady_clock;

/// The peak of a device's memory, or of this process's.
std::uint64_t peak_bytes(const c10::Device& device) {
  if (const auto memory = device_memory(device)) return memory->peak;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

/// Of this process's threads together.
double processor_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

struct StepTime {
  double wall = 0.0;
  double alone = 0.0;  ///< on a machine that does nothing else, as far as the processors' time says
};

/// One step of one micro-batch [s].
StepTime step_time(const RestoreJob& job, const ImageProblem& image, std::uint64_t id) {
  Communicator self = Communicator::self();
  TensorGroup tensors(self, job.prior().options.device());
  FlowObserver nobody;
  FlowOptions options = job.flow();
  options.particles = options.micro_batch;
  options.steps = 1;
  const std::unique_ptr<NoiseModel> noise = job.noise(image);
  const Problem problem{job.prior(), *image.forward, image.y, image.shape, id, noise.get()};
  const Clock::time_point start = Clock::now();
  const double used = processor_seconds();
  solve(problem, options, tensors.with(self), nobody);
  const double wall = std::chrono::duration<double>(Clock::now() - start).count();
  const bool on_host = job.prior().options.device().is_cpu();
  return {wall, on_host ? std::min(wall, processor_seconds() - used) : wall};
}

/// A grey square to be left as it is, of `latents` x `latents` latent pixels.
ImageProblem square(const RestoreJob& job, std::int64_t latents) {
  const PriorGeometry& geometry = job.prior().geometry;
  ImageProblem problem;
  problem.shape = {geometry.image_channels, latents * geometry.factor, latents * geometry.factor};
  problem.forward = make_operator("identity", {problem.shape});
  problem.sigma = std::max(0.05, job.input().problem.given_sigma());
  problem.y = at::zeros({problem.shape.channels, problem.shape.height, problem.shape.width});
  return problem;
}

/// A step that was made on such a square.
struct Trial {
  std::int64_t latents = 0;
  double seconds = 0.0;
  double pixels() const { return static_cast<double>(latents * latents); }
};

/// What the largest of them, or the last two, let expect of so many latent pixels.
double expected_seconds(const std::vector<Trial>& trials, double pixels) {
  const Trial& last = trials.back();
  if (trials.size() == 1) return last.seconds * pixels / last.pixels();
  const Trial& before = trials[trials.size() - 2];
  return extrapolated(before.pixels(), before.seconds, last.pixels(), last.seconds, pixels);
}

/// Ever larger squares, below `canvas`, as long as there is time and memory for the next.
std::vector<Trial> made_trials(const RestoreJob& job, const Canvas& canvas, double patience, double& spent) {
  constexpr std::int64_t smallest = 16, growth = 2;
  const Clock::time_point start = Clock::now();
  std::vector<Trial> trials;
  const std::int64_t factor = job.prior().geometry.factor;
  const double all = static_cast<double>(canvas.latent_height * canvas.latent_width);
  for (std::int64_t side = smallest; static_cast<double>(side * side) < all / 2; side *= growth) {
    // On a busy machine what has been seen by then has to do.
    const double waited = std::chrono::duration<double>(Clock::now() - start).count();
    if (trials.size() > 1 && waited > patience / 2) break;
    const auto memory = expected_memory(job, 1, {side * factor, side * factor, side, side});
    if (memory && memory->step > memory_available(job.prior().options.device())) break;
    if (!trials.empty() &&
        expected_seconds(trials, static_cast<double>(side * side)) > (patience - spent) / 2)
      break;
    log_job(LogLevel::info, formatted("measuring a step on {} x {} pixels, of {} x {}", side * factor,
                                      side * factor, canvas.height, canvas.width));
    const ImageProblem image = square(job, side);
    if (trials.empty()) step_time(job, image, 0);  // the first one prepares kernels
    trials.push_back({side, step_time(job, image, 0).alone});
    spent += trials.back().seconds * (trials.size() == 1 ? 2 : 1);
  }
  return trials;
}

/// The first image that can be prepared: its row and its problem.
std::optional<std::pair<std::size_t, ImageProblem>> first_image(const RestoreJob& job) {
  for (std::size_t row = 0; row < job.images().size(); ++row) {
    try {
      return std::pair{row, job.prepare(static_cast<std::int64_t>(row))};
    } catch (const Error&) {  // told when its turn comes
    }
  }
  return std::nullopt;
}

std::string sizes_of(const std::vector<Trial>& trials, std::int64_t factor) {
  std::string text;
  for (std::size_t k = trials.size() > 1 ? trials.size() - 2 : 0; k < trials.size(); ++k) {
    text += formatted("{}{} x {}", text.empty() ? "" : " and ", trials[k].latents * factor,
                      trials[k].latents * factor);
  }
  return text;
}

}  // namespace

double extrapolated(double small, double small_seconds, double large, double large_seconds, double size) {
  const double low = small_seconds / small, high = large_seconds / large;
  const double quadratic = std::clamp((high - low) / (large - small), 0.0, high / large);
  const double linear = high - quadratic * large;
  return linear * size + quadratic * size * size;
}

std::optional<StepCost> measure_step(const RestoreJob& job, double patience) {
  const c10::Device device = job.prior().options.device();
  const PriorGeometry& geometry = job.prior().geometry;
  restart_peak(device);
  try {
    const auto first = first_image(job);
    if (!first) return std::nullopt;
    const auto& [row, image] = *first;
    const Canvas canvas = geometry.canvas(image.shape.height, image.shape.width);
    if (!geometry.only) {
      double spent = 0.0;
      const std::vector<Trial> trials = made_trials(job, canvas, patience, spent);
      const double pixels = static_cast<double>(canvas.latent_height * canvas.latent_width);
      const double expected = trials.empty() ? 0.0 : expected_seconds(trials, pixels);
      if (2 * expected > patience - spent)
        return StepCost{expected, peak_bytes(device), sizes_of(trials, geometry.factor)};
    }
    const std::uint64_t id = job.images()[row].id;
    step_time(job, image, id);
    return StepCost{step_time(job, image, id).wall, peak_bytes(device)};
  } catch (const Error&) {  // no step can be made; the job itself says why
    return std::nullopt;
  }
}

}  // namespace dwgf
