#include "job/dry_run.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "base/log.hpp"
#include "job/ahead/step_cost.hpp"
#include "job/look_ahead.hpp"
#include "job/memory_plan.hpp"
#include "job/window_crew.hpp"

namespace dwgf {

std::uint64_t disk_bytes(const ResultsLayout& layout) {
  std::uint64_t image = 256 + 128 + 32;  // its records
  for (const DatasetLayout& dataset : layout.datasets) image += dataset.row_bytes();
  return layout.images.size() * image;
}

namespace {

/// For all that is measured [s].
constexpr double kPatience = 8.0;

/// How many images of the size of the first the images are, by their pixels.
double images_of_first_size(const RestoreJob& job) {
  double pixels = 0.0, first = 0.0, unknown = 0.0;
  for (const ImageEntry& image : job.images()) {
    const double own = static_cast<double>(image.height) * image.width;
    if (first == 0.0) first = own;
    pixels += own;
    unknown += own == 0.0;
  }
  return first == 0.0 ? unknown : unknown + pixels / first;
}

/// @param calls  steps of a micro-batch that a rank makes of an image
void print_cost(const StepCost& cost, const RestoreJob& job, std::int64_t calls, int groups) {
  const double per_image = cost.seconds * static_cast<double>(calls), images = images_of_first_size(job);
  const double all = std::max(1.0, std::ceil(images / groups)) * per_image;
  const bool measured = cost.extrapolated_from.empty();
  if (measured) {
    std::printf("memory              %s a rank measured (the peak of one step)\n",
                human_bytes(cost.peak_bytes).c_str());
  }
  const std::string how = measured ? "measured" : "extrapolated from " + cost.extrapolated_from + " pixels";
  std::printf("cost                %.3g s a step of one micro-batch (%s), %s an image, %s in all\n",
              cost.seconds, how.c_str(), human_duration(per_image).c_str(), human_duration(all).c_str());
  if (!measured)
    std::printf("to spend less       smaller pictures; flow.preset = fast or quick; fewer flow.particles\n");
}

}  // namespace

void print_plan(const RestoreJob& job, const GridPlace& place, int ranks, const ComputeDevice& device,
                std::span<const Finding> findings) {
  const FlowOptions& flow = job.flow();
  const ResultsLayout layout = job.layout("");
  const std::optional<WindowPlan> windows = window_plan(job, place.group_size);
  const ParticleShare share = share_particles(flow.particles, flow.micro_batch, 0,
                                              windows ? windows->crews.leaders : place.group_size);
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
  if (windows) {
    std::printf(
        "windows             up to %lld an image, of %lld x %lld latent pixels and overlapping by %lld or "
        "more%s; crews of %d ranks compute them, %d in a group\n",
        static_cast<long long>(windows->count), static_cast<long long>(windows->size.size),
        static_cast<long long>(windows->size.size), static_cast<long long>(windows->size.overlap),
        windows->size.moves ? ", elsewhere at every step" : "", windows->crews.crew, windows->crews.leaders);
    const int best = best_ranks_per_image(ranks, static_cast<std::int64_t>(layout.images.size()),
                                          1 + (flow.particles - 1) / flow.micro_batch, windows->count);
    std::printf("best layout         run.ranks_per_image = %d%s\n", best,
                best == job.input().layout.ranks_per_image ? ", as it is" : "");
  }
  const std::vector<Level> levels = flow_levels(*job.prior().path, flow);
  std::printf("steps               %lld, times %g ... %g\n", static_cast<long long>(steps),
              levels.front().time, levels[static_cast<std::size_t>(steps - 1)].time);
  std::printf("disk                %s\n", human_bytes(disk).c_str());
  std::fflush(stdout);
  tell_findings(findings);
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
  const std::uint64_t available = memory_available(device.device);
  if (memory && available > 0 && memory->step > available) {
    std::printf("memory, cost        not measured: this %s has only %s available\n",
                device.device.is_cpu() ? "host" : "device", human_bytes(available).c_str());
  } else if (const std::optional<StepCost> cost = measure_step(job, kPatience)) {
    const std::int64_t crew = windows ? windows->crews.crew : 1;
    print_cost(*cost, job, (share.batches_per_rank * steps + crew - 1) / crew, place.groups);
  } else {
    std::printf("memory, cost        not measured: no step could be made; the job itself says why\n");
  }
}

}  // namespace dwgf
