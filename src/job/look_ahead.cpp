#include "job/look_ahead.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/comm/grid.hpp>
#include <dwgf/data/picture.hpp>

#include "base/log.hpp"
#include "catalogue/methods.hpp"
#include "data/npy.hpp"
#include "job/ahead/doubtful_arrays.hpp"
#include "job/memory_plan.hpp"
#include "job/window_crew.hpp"

namespace dwgf {

namespace {

namespace fs = std::filesystem;
using Findings = std::vector<Finding>;

void append(Findings& findings, Findings more) {
  findings.insert(findings.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// Images that the prior or the operator does not take, and that cannot be read.
Findings refused_images(const RestoreJob& job) {
  const std::optional<RefusedImages> refused = job.refused();
  if (!refused) return {};
  const std::string text = formatted("{} of {} images cannot be restored; the first is {}: {}",
                                     refused->count, job.images().size(), refused->first, refused->why);
  return {Finding::problem("images", text, "leave them out, or change what the message names",
                           ExitCode::some_images_failed)};
}

/// Whether a picture has colours that a luma loses: more than rounding and compression make of grey.
bool is_coloured(const ImagePixels& pixels) {
  if (pixels.channels != 3) return false;
  constexpr float visible = 0.1f;
  const auto plane = static_cast<std::size_t>(pixels.height * pixels.width);
  for (std::size_t k = 0; k < plane; ++k) {
    const auto [low, high] =
        std::minmax({pixels.values[k], pixels.values[plane + k], pixels.values[2 * plane + k]});
    if (high - low > visible) return true;
  }
  return false;
}

/// Where the names of the images begin, of a folder, a pattern and one picture; nothing for other data.
std::optional<fs::path> folder_of_pictures(const std::string& data) {
  std::error_code ignored;
  if (fs::is_directory(data, ignored)) return data;
  const std::size_t wild = data.find_first_of("*?[");
  if (wild == std::string::npos && !is_picture_name(data)) return std::nullopt;
  const std::size_t slash = data.rfind('/', wild);
  return slash == std::string::npos ? fs::path(".") : fs::path(data.substr(0, slash + 1));
}

/// How many of the first pictures are coloured, and how many were looked at. Of arrays only the shape counts.
std::pair<std::size_t, std::size_t> coloured_pictures(const RestoreJob& job) {
  constexpr std::size_t most = 8;
  const std::string& data = job.input().images.data;
  if (data.ends_with(".npy")) {
    const std::vector<std::int64_t> shape = NpyFile(data).shape();
    const bool colour = shape.size() >= 3 && shape[shape.size() - 3] == 3;
    return {colour ? job.images().size() : 0, job.images().size()};
  }
  const std::optional<fs::path> folder = folder_of_pictures(data);
  if (!folder) return {0, 0};
  std::size_t coloured = 0, seen = 0;
  for (const ImageEntry& image : job.images()) {
    if (seen == most) break;
    try {
      coloured += is_coloured(read_picture((*folder / image.name).string()));
      ++seen;
    } catch (const Error&) {  // told when its turn comes
    }
  }
  return {coloured, seen};
}

Findings colours_lost(const RestoreJob& job) {
  if (job.prior().geometry.image_channels != 1) return {};
  const auto [coloured, seen] = coloured_pictures(job);
  if (coloured == 0) return {};
  const bool counted = seen == job.images().size();
  const bool fashion = job.input().prior.path == "builtin:fashion";
  return {Finding::warning("colours",
                           formatted("{} grey: {}",
                                     !counted        ? std::string("colour pictures become")
                                     : coloured == 1 ? std::string("1 colour picture becomes")
                                                     : formatted("{} colour pictures become", coloured),
                                     fashion ? "builtin:fashion knows grey clothes of 28 x 28 only"
                                             : "the prior is of grey pictures"),
                           fashion ? "for photographs prior.path = builtin:photo"
                                   : "a prior of 3 channels (prior.path) keeps colours")};
}

Findings size_beyond_prior(const RestoreJob& job) {
  constexpr std::int64_t times = 10;
  const PriorGeometry& geometry = job.prior().geometry;
  const std::int64_t trained = geometry.trained * geometry.factor;
  const Canvas canvas = largest_canvas(job);
  const std::int64_t side = std::max(canvas.height, canvas.width);
  if (trained == 0 || side < times * trained || geometry.only || job.prior().windows) return {};
  return {
      Finding::warning("size",
                       formatted("the largest image has {} x {} pixels, {} times the side of the {} x {} "
                                 "that the prior was trained on: it knows nothing of structures that large",
                                 canvas.height, canvas.width, side / trained, trained, trained),
                       "smaller pictures, a prior of larger ones, or prior.window = auto, which covers a "
                       "larger image in parts")};
}

/// The grids next to `grid` whose first time is `early` at least: "149 or 151".
std::string grids_that_start(const NoisePath& path, std::int64_t grid, double early) {
  std::string text;
  const auto add = [&](std::int64_t other) {
    if (path.levels(other).front().time < early) return false;
    text += (text.empty() ? "" : " or ") + std::to_string(other);
    return true;
  };
  for (std::int64_t other = grid - 1; other >= 2 && !add(other); --other) {
  }
  for (std::int64_t other = grid + 1; other <= 999 && !add(other); ++other) {
  }
  return text;
}

Findings late_start(const RestoreJob& job) {
  const FlowOptions& flow = job.flow();
  const NoisePath& path = *job.prior().path;
  const double first_time = path.levels(flow.grid).front().time, early = 0.9 * path.first().time;
  if (entry_of(flow.method).own_levels || flow.start == Start::kalman || first_time >= early) return {};
  const std::string grids = grids_that_start(path, flow.grid, early);
  return {Finding::warning("grid",
                           formatted("flow.grid = {} starts at t = {}, so the flow never sees the noisiest "
                                     "levels, from t = {} on",
                                     flow.grid, first_time, std::ceil(early)),
                           grids.empty() ? "a longer grid" : "take flow.grid = " + grids)};
}

/// Flags of the first processor, as the kernel lists them.
std::string processor_flags() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("flags") || line.starts_with("Features")) return line.substr(line.find(':') + 1);
  }
  return "";
}

Findings slow_precision(const RestoreJob& job) {
  const std::string flags = processor_flags();
  if (!job.prior().options.device().is_cpu() || flags.empty()) return {};
  for (const Precision precision : {job.input().unet_precision(), job.input().autoencoder_precision()}) {
    Findings found = precision == Precision::bf16   ? diagnose_precision("bf16", flags)
                     : precision == Precision::fp16 ? diagnose_precision("fp16", flags)
                                                    : Findings{};
    if (!found.empty()) return found;
  }
  return {};
}

/// The ranks of a group that hold particles.
int leaders(const RestoreJob& job, const Launch& launch) {
  const std::optional<WindowPlan> windows = window_plan(job, launch.group_size);
  return windows ? windows->crews.leaders : launch.group_size;
}

Findings short_memory(const RestoreJob& job, const Launch& launch) {
  const FlowOptions& flow = job.flow();
  if (!job.prior().options.device().is_cpu() || !job.input().layout.checks_memory) return {};
  const ParticleShare share = share_particles(flow.particles, flow.micro_batch, 0, leaders(job, launch));
  const std::optional<MemoryPlan> plan = expected_memory(job, share.batches_per_rank);
  if (!plan) return {};
  Findings found = diagnose_memory(
      launch.ranks, {plan->step + (launch.weights_loaded ? 0 : plan->now)},
      formatted("smaller pictures, {}{}fewer ranks a host; run.check_memory = no tries it all the same",
                job.prior().windows || job.prior().geometry.only ? "" : "prior.window = auto, ",
                flow.micro_batch > 1 ? "a smaller flow.micro_batch, " : ""));
  // The estimate is that of a decoder's gradient, which these do without.
  if (entry_of(flow.method).own_levels) {
    for (Finding& finding : found)
      finding = Finding::warning(finding.topic, finding.text + " at most", finding.advice);
  }
  return found;
}

/// "text; advice"
std::string sentence(const Finding& finding) {
  return finding.advice.empty() ? finding.text : finding.text + "; " + finding.advice;
}

}  // namespace

std::vector<Finding> look_ahead(const RestoreJob& job, const Launch& launch) {
  const FlowOptions& flow = job.flow();
  Findings findings;
  for (const std::string& warning : job.warnings())
    findings.push_back(Finding::warning("prior", warning, ""));
  for (const auto& rule :
       {refused_images, colours_lost, size_beyond_prior, doubtful_arrays, late_start, slow_precision})
    append(findings, rule(job));
  append(findings,
         diagnose_work(launch.groups, leaders(job, launch), static_cast<std::int64_t>(job.images().size()),
                       1 + (flow.particles - 1) / flow.micro_batch));
  append(findings, short_memory(job, launch));
  return findings;
}

std::vector<std::string> notes_on(const RestoreJob& job) {
  if (!job.measures_clean_images() || !folder_of_pictures(job.input().images.data)) return {};
  const ProblemInput& problem = job.input().problem;
  const std::string noise = problem.noise == "gaussian" ? formatted("noise of {}", problem.given_sigma())
                                                        : formatted("{} noise", problem.noise);
  return {
      formatted("clean pictures: each is measured with {} and given {} before it is restored; pictures that "
                "are measurements already go in with input.kind = measured",
                problem.forward, noise)};
}

void tell_findings(std::span<const Finding> findings) {
  const Finding* stops = nullptr;
  for (const Finding& finding : findings) {
    const bool of_images = finding.code == ExitCode::some_images_failed;
    if (finding.level == Finding::Level::problem && !of_images) {
      if (!stops) stops = &finding;
    } else if (finding.level != Finding::Level::fine) {
      log_job(LogLevel::warning, sentence(finding));
    }
  }
  if (stops) throw Error(stops->code, sentence(*stops));
}

}  // namespace dwgf
