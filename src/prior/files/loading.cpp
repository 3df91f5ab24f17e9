#include "prior/files/loading.hpp"

#include <new>

#include <c10/util/Exception.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

void rethrow_load_failure(const std::string& path) {
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw InternalError(
        "prior: LibTorch failed while loading {} ({}); is there enough memory, and is the device usable?",
        path, error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    throw InternalError("prior: out of memory while loading {}", path);
  } catch (const std::exception& error) {
    throw InternalError("prior: loading {} failed ({})", path, error.what());
  }
}

void require_same_weights(const Weights& weights, FileHashes& hashes, const std::string& sha256) {
  if (dwgf::sha256({&weights}, hashes) == sha256) return;
  throw DataError(
      "prior: the weights in {} changed while they were in use; start again with one version of them",
      weights.folder().string());
}

}  // namespace dwgf
