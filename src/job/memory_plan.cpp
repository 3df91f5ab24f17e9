#include "job/memory_plan.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include <dwgf/base/error.hpp>

#include "catalogue/methods.hpp"
#include "job/device_memory.hpp"
#include "job/image_writer.hpp"

namespace dwgf {

namespace {

namespace fs = std::filesystem;

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

/// A number that stands alone in a file; nothing for "max" and where there is no such file.
std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::ifstream in(file);
  std::uint64_t value = 0;
  return in >> value ? std::optional(value) : std::nullopt;
}

/// What one control group leaves; what it keeps of files counts as free. @param limit, used  names of files
std::optional<std::uint64_t> left_in_group(const fs::path& group, const char* limit, const char* used) {
  const auto most = number_in(group / limit), now = number_in(group / used);
  if (!most || !now) return std::nullopt;
  std::ifstream statistics(group / "memory.stat");
  std::string name;
  std::uint64_t value = 0, files = 0;
  while (statistics >> name >> value) {
    if (name == "inactive_file" || name == "active_file") files += value;
  }
  const std::uint64_t taken = *now - std::min(*now, files);
  return *most - std::min(*most, taken);
}

/// The least that this process's control groups leave, from its own up to the root; nothing without a limit.
std::optional<std::uint64_t> left_in_control_groups() {
  std::optional<std::uint64_t> least;
  std::ifstream groups("/proc/self/cgroup");  // "4:memory:/path", or "0::/path" in version 2
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string kind = line.substr(first + 1, second - first - 1);
    if (!kind.empty() && kind != "memory") continue;
    const bool newer = kind.empty();
    const fs::path root = newer ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (fs::path path = line.substr(second + 1); !path.empty(); path = path.parent_path()) {
      const fs::path group = root / path.relative_path();
      const auto left = newer ? left_in_group(group, "memory.max", "memory.current")
                              : left_in_group(group, "memory.limit_in_bytes", "memory.usage_in_bytes");
      if (left && (!least || *left < *least)) least = left;
      if (path == path.root_path()) break;
    }
  }
  return least;
}

/// What LibTorch's and oneDNN's code and buffers take more once every kind of call was made: 60 to 90 MiB
/// were seen.
constexpr std::uint64_t kLibraries = std::uint64_t{64} << 20;

/// What a value takes while its particles are summed and reduced, ten numbers in float64.
constexpr std::uint64_t kSlabBytes = 80;

/// What this process holds of the memory that it computes in; 0 where nobody says.
std::uint64_t bytes_now(const c10::Device& device) {
  if (device.is_cpu()) {
    const std::uint64_t resident = reported("/proc/self/status", "VmRSS:");
    return resident == 0 ? 0 : resident + kLibraries;
  }
  const auto memory = device_memory(device);
  return memory ? memory->now : 0;
}

}  // namespace

Canvas largest_canvas(const RestoreJob& job) {
  Canvas largest;
  for (const ImageEntry& image : job.images()) {
    if (image.height == 0 || image.width == 0) continue;
    try {
      const Canvas canvas = job.prior().geometry.canvas(image.height, image.width);
      if (canvas.height * canvas.width > largest.height * largest.width) largest = canvas;
    } catch (const DataError&) {  // told when its turn comes
    }
  }
  return largest;
}

std::optional<MemoryPlan> expected_memory(const RestoreJob& job, std::int64_t batches) {
  return expected_memory(job, batches, largest_canvas(job));
}

std::optional<MemoryPlan> expected_memory(const RestoreJob& job, std::int64_t batches, const Canvas& canvas) {
  const FlowOptions& flow = job.flow();
  const MethodEntry& method = entry_of(flow.method);
  if (method.keeps_graph) return std::nullopt;
  const std::uint64_t now = bytes_now(job.prior().options.device());
  if (!job.prior().step_bytes || now == 0 || canvas.height == 0) return std::nullopt;
  const std::uint64_t step =
      job.prior().step_bytes(flow.micro_batch, canvas.latent_height, canvas.latent_width);
  // Positions and two moments of every particle, and a few images of one micro-batch.
  const PriorGeometry& geometry = job.prior().geometry;
  const std::int64_t state =
      3 * batches * flow.micro_batch * geometry.latent_channels * canvas.latent_height * canvas.latent_width;
  // Windows are decoded into the image itself, without a copy of it inside the decoder.
  const std::int64_t few_images = job.prior().windows ? 5 : 6;
  const std::int64_t kept_images = method.moves_images ? 3 * batches : 0;
  const std::int64_t images =
      (few_images + kept_images) * flow.micro_batch * geometry.image_channels * canvas.height * canvas.width;
  const auto element = static_cast<std::uint64_t>(job.prior().options.dtype().itemsize());
  const std::int64_t slab = std::min(geometry.image_channels * canvas.height * canvas.width, kSlabValues);
  return MemoryPlan{now, step + static_cast<std::uint64_t>(state + images) * element +
                             static_cast<std::uint64_t>(slab) * kSlabBytes};
}

std::uint64_t host_memory_available() {
  const std::uint64_t host = reported("/proc/meminfo", "MemAvailable:");
  const auto allowed = left_in_control_groups();
  return allowed && host > 0 ? std::min(host, *allowed) : host;
}

std::uint64_t memory_available(const c10::Device& device) {
  if (device.is_cpu()) return host_memory_available();
  const auto memory = device_memory(device);
  return memory ? memory->free : 0;
}

}  // namespace dwgf
