/// What a restore will do and cost, before it does.
#pragma once

#include <span>

#include <dwgf/comm/grid.hpp>

#include "job/compute_device.hpp"
#include "job/diagnosis.hpp"
#include "job/restore_job.hpp"

namespace dwgf {

/// Effective options, ranks and groups, devices and their exchange, particles a rank, disk, the memory that
/// is expected (within 20 % on a CPU where the prior gives an estimate; of a device, as if it were one), and
/// time and memory measured on one step of one micro-batch of the first readable image, unless the host or
/// the device has no room for it; to standard output.
/// What was found ahead is told before anything is measured; throws the problem that `restore` would refuse
/// the job for.
void print_plan(const RestoreJob& job, const GridPlace& place, int ranks, const ComputeDevice& device,
                std::span<const Finding> findings);

/// Bytes that the results take.
std::uint64_t disk_bytes(const ResultsLayout& layout);

}  // namespace dwgf
