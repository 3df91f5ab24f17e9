/// The memory that a restoration is expected to take, and what there is of it.
#pragma once

#include <cstdint>
#include <optional>

#include <c10/core/Device.h>

#include <dwgf/flow/state.hpp>
#include <dwgf/prior/geometry.hpp>

#include "job/restore_job.hpp"

namespace dwgf {

/// What a rank takes of its host's memory, or of its device's: from what it has now, with its weights loaded,
/// and the shapes of a step [bytes].
struct MemoryPlan {
  std::uint64_t now = 0, step = 0;
  std::uint64_t peak() const { return now + step; }
};

/// For the largest image, with `batches` micro-batches a rank: within 20 % on a CPU; of a device, as if it
/// were one. Nothing where the prior cannot say, and for methods that keep the U-Net's graph.
std::optional<MemoryPlan> expected_memory(const RestoreJob& job, std::int64_t batches);
/// The same for one image of this canvas.
std::optional<MemoryPlan> expected_memory(const RestoreJob& job, std::int64_t batches, const Canvas& canvas);

/// The largest canvas among the images whose size is known; 0 x 0 where there is none.
Canvas largest_canvas(const RestoreJob& job);

/// What is left of the host's memory, and of what this process's control groups allow [bytes]; 0 where nobody
/// says.
std::uint64_t host_memory_available();
/// The same of what `device` computes in.
std::uint64_t memory_available(const c10::Device& device);

}  // namespace dwgf
