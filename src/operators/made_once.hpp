/// What an operator makes of its constants (tables, a spectrum), once for every dtype and device that it is
/// asked for.
#pragma once

#include <deque>
#include <mutex>
#include <utility>

#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>

namespace dwgf {

template <class T>
class MadeOnce {
 public:
  /// What make() returned for the dtype and the device of `other`, at the first use of these. The reference
  /// stays valid. Thread-safe. make() runs outside inference mode, for what is made in it could not be used
  /// where gradients are recorded.
  template <class Make>
  const T& like(const at::Tensor& other, const Make& make) const {
    const std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_)
      if (entry.type == other.scalar_type() && entry.device == other.device()) return entry.made;
    const c10::InferenceMode no_inference(false);
    return entries_.emplace_back(Entry{other.scalar_type(), other.device(), make()}).made;
  }

 private:
  struct Entry {
    at::ScalarType type;
    at::Device device;
    T made;
  };
  mutable std::mutex mutex_;
  mutable std::deque<Entry> entries_;
};

}  // namespace dwgf
