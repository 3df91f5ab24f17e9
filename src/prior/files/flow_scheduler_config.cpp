#include "prior/files/flow_scheduler_config.hpp"

#include "prior/files/config_file.hpp"

namespace dwgf {

FlowMatchingConfig read_flow_scheduler_config(const std::filesystem::path& path) {
  constexpr std::int64_t most_times = 1'000'000;
  constexpr double largest_shift = 1000.0;
  const ConfigFile file(path, {"FlowMatchEulerDiscreteScheduler"});
  // Where it depends on the size of the image; and grids of levels that no published model of this kind has.
  for (const char* key : {"use_dynamic_shifting", "invert_sigmas", "use_karras_sigmas",
                          "use_exponential_sigmas", "use_beta_sigmas", "stochastic_sampling"}) {
    file.require(key, false);
  }
  file.require("shift_terminal", nullptr);
  return {.train_steps = file.integer("num_train_timesteps", 1000, 3, most_times),
          .shift = file.real("shift", 1.0, 1.0 / largest_shift, largest_shift)};
}

}  // namespace dwgf
