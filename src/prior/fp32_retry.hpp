/// Half precisions run out of range: float16 beyond 65504, both when a network amplifies. One half of a prior
/// that notices and has such a call computed again in float32, so that an overflow costs time and never an
/// image.
///
/// On a device the host has to wait for each answer. It does for float16; bfloat16, which reaches as far as
/// float32, is not asked there: what is not finite tells at the next record.
#pragma once

#include <functional>
#include <memory>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// `half`, except that a call with a NaN or an infinity anywhere in its result is made again by the wider
/// counterpart, whose result stands whatever it is, and counted in `retries`. A vector-Jacobian product with
/// one is made again together with its forward pass. `make_wide` is called on the first use and at most once;
/// the counterpart takes and returns the same tensors. `type` is the half precision.
std::shared_ptr<const Denoiser> with_fp32_retry(std::shared_ptr<const Denoiser> half,
                                                std::function<std::shared_ptr<const Denoiser>()> make_wide,
                                                std::shared_ptr<Fp32Retries> retries,
                                                at::ScalarType type = at::kHalf);
std::shared_ptr<const Codec> with_fp32_retry(std::shared_ptr<const Codec> half,
                                             std::function<std::shared_ptr<const Codec>()> make_wide,
                                             std::shared_ptr<Fp32Retries> retries,
                                             at::ScalarType type = at::kHalf);

}  // namespace dwgf
