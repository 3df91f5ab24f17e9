/// Random signs for wild bootstraps and sign-flip tests: how large a statistic would be by chance.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// Independent signs, +1 and -1 as often, float64 [count, resamples]. Row i is addressed by (0, image, i, 0,
/// resampling): the same on every rank and in every run.
at::Tensor resampling_signs(std::int64_t count, std::int64_t resamples, std::uint64_t image);

}  // namespace dwgf
