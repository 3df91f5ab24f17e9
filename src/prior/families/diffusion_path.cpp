#include "prior/families/diffusion_path.hpp"

#include <utility>

#include "prior/few_step_schedule.hpp"
#include "prior/files/scheduler_config.hpp"

namespace dwgf {

DiffusionPath read_diffusion_path(const std::filesystem::path& file, const PriorOptions& options) {
  DdpmSchedule schedule(read_scheduler_config(file));
  std::optional<FewStepConfig> config = read_few_step_config(file);
  if (!options.times.empty()) {
    if (!config) config = FewStepConfig{.sampler = FewStepSampler::euler};
    config->times = options.times;
  }
  if (!config) {
    auto path = std::make_shared<const DdpmSchedule>(schedule);
    return {std::move(schedule), std::move(path), std::nullopt};
  }
  auto path = std::make_shared<const FewStepSchedule>(schedule, std::move(*config));
  return {std::move(schedule), path, path->few_steps()};
}

}  // namespace dwgf
