#include "prior/files/loading.hpp"

#include <new>

#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

std::unique_ptr<Prior> guarded_load(const std::string& path,
                                    const std::function<std::unique_ptr<Prior>()>& load) {
  const c10::InferenceMode ordinary(false);
  try {
    return load();
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    throw InternalError(concat("prior: LibTorch failed while loading ", path, " (",
                               error.what_without_backtrace(),
                               "); is there enough memory, and is the device usable?"));
  } catch (const std::bad_alloc&) {
    throw InternalError(concat("prior: out of memory while loading ", path));
  } catch (const std::exception& error) {
    throw InternalError(concat("prior: loading ", path, " failed (", error.what(), ")"));
  }
}

std::unique_ptr<Prior> require_same_weights(std::unique_ptr<Prior> prior, const std::string& sha256,
                                            const std::string& path) {
  if (prior->sha256() == sha256) return prior;
  throw DataError(concat("prior: the weights in ", path,
                         " changed while they were in use; start again with one version of them"));
}

}  // namespace dwgf
