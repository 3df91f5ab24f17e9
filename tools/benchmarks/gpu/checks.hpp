/// What only a GPU can show of the library: the blocks of tools/check-gpu that are not whole programs. Each
/// adds its rows to the table; a failed check is a row, an exception is an end.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gpu/checked_device.hpp"
#include "gpu/table.hpp"

namespace dwgf::gpu {

/// Random numbers, exact sums, interactions, the exchange and every operator, on the device against the host.
void check_parts(CheckedDevice& checked, Table& table);

/// Writes a diffusers directory of random float16 weights: Stable Diffusion 2.1-base's shapes, or tiny ones.
/// Arithmetic and times do not depend on what the weights are.
void make_weights(const std::filesystem::path& folder, bool tiny, Table& table);

/// One call of each network at edge x edge pixels: the device in float32 against the host, then TF32,
/// bfloat16 and float16 against float32 on the device; relative L2.
void check_agreement(CheckedDevice& checked, const std::string& prior, std::int64_t edge, Table& table);

/// Networks called `times` times and two short flows give the same bits; `digest` rows let two processes be
/// compared.
void check_same_bits(CheckedDevice& checked, const std::string& prior, std::int64_t edge, int times,
                     Table& table);

/// Milliseconds of a step of the presets `fast` and `paper` and of its parts, operator calls, waits of the
/// host, and peak memory, at one precision (fp32, tf32, bf16, fp16): for every edge, micro-batch, and way of
/// making the decoder's gradient.
void time_steps(CheckedDevice& checked, const std::string& prior, const std::string& precision,
                const std::vector<std::int64_t>& edges, const std::vector<std::int64_t>& micro_batches,
                Table& table);

}  // namespace dwgf::gpu
