/// What a restore will do and cost, before it does.
#pragma once

#include <dwgf/comm/grid.hpp>

#include "job/compute_device.hpp"
#include "job/restore_job.hpp"

namespace dwgf {

/// Effective options, ranks and groups, devices and their exchange, particles a rank, disk, the memory that
/// is expected (within 20 % on a CPU where the prior gives an estimate; of a device, as if it were one), and
/// time and memory measured on one step of one micro-batch of the first readable image, unless the host or
/// the device has no room for it; to standard output.
void print_plan(const RestoreJob& job, const GridPlace& place, int ranks, const ComputeDevice& device);

/// Bytes that the results take.
std::uint64_t disk_bytes(const ResultsLayout& layout);

/// What is allowed but probably not meant, to standard error.
void print_warnings(const RestoreJob& job, const GridPlace& place);

}  // namespace dwgf
