/// The frame around loading a prior.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <c10/core/InferenceMode.h>

#include <dwgf/prior/prior.hpp>

#include "prior/files/weights.hpp"
#include "prior/fp32_retry.hpp"
#include "prior/nn/precision.hpp"

namespace dwgf {

/// What diffusers calls the weights of a network.
inline constexpr const char* kWeightsStem = "diffusion_pytorch_model";

/// Rethrows the exception in flight: the program's own errors as they are, what LibTorch or the system threw
/// as InternalErrors that name `path`.
[[noreturn]] void rethrow_load_failure(const std::string& path);

/// Runs `load` outside inference mode: weights made in it could not take part in a backward pass.
template <class Load>
auto guarded_load(const std::string& path, const Load& load) {
  const c10::InferenceMode ordinary(false);
  try {
    return load();
  } catch (...) {
    rethrow_load_failure(path);
  }
}

/// Throws DataError naming the folder where the weights have another hash by now.
void require_same_weights(const Weights& weights, FileHashes& hashes, const std::string& sha256);

/// Loads one half of a prior (Denoiser or Codec) from its weights by `load(weights, precision, hashes)`; in
/// half precision with retries in `wide`, for which the same files are read again when needed: they stay open
/// until then, so that a folder which is taken away meanwhile is no loss.
template <class Half, class Load>
std::shared_ptr<const Half> load_half(const Weights& weights, NetworkPrecision precision, at::ScalarType wide,
                                      FileHashes& hashes, std::shared_ptr<Fp32Retries> retries, Load load) {
  std::shared_ptr<const Half> half = load(weights, precision, hashes);
  if (!is_half(precision.type)) return half;
  const auto kept = std::make_shared<const Weights>(weights.folder(), kWeightsStem);
  const auto load_wide = [load, wide, kept, sha256 = sha256({&weights}, hashes)] {
    return guarded_load(kept->folder().string(), [&] {
      FileHashes fresh;
      std::shared_ptr<const Half> again = load(*kept, NetworkPrecision{wide}, fresh);
      require_same_weights(*kept, fresh, sha256);
      return again;
    });
  };
  return with_fp32_retry(std::move(half), load_wide, std::move(retries), precision.type);
}

}  // namespace dwgf
