/// The noise path of a diffusion model as its directory describes it, and how it is sampled in few steps
/// where it was distilled to them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/known_families.hpp>
#include <dwgf/prior/few_steps.hpp>

namespace dwgf {

struct DiffusionPath {
  DdpmSchedule schedule;  ///< of all times
  std::shared_ptr<const NoisePath> path;
  std::optional<FewSteps> few_steps;
};

/// Reads a scheduler's configuration; options.times choose among its times, and make of any prior one of few
/// steps. Throws NotFoundError, DataError.
DiffusionPath read_diffusion_path(const std::filesystem::path& file, const PriorOptions& options);

}  // namespace dwgf
