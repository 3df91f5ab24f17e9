#include "gpu/call_counts.hpp"

#include <string_view>

#include <ATen/ATen.h>

namespace dwgf::gpu {
namespace {

// LibTorch calls back by a plain function pointer.
struct Counted {
  std::int64_t operators = 0, waits = 0;
  bool ended_last = false;  // the last event was an end: what ends now had a call within
};
thread_local Counted counted;

bool waits_for_device(const at::RecordFunction& call) {
  const std::string_view name = call.name();
  const auto inputs = call.inputs();
  const auto on_host = [&](std::size_t k) { return inputs[k].isTensor() && inputs[k].toTensor().is_cpu(); };
  if (name == "aten::_local_scalar_dense") return !on_host(0);
  return name == "aten::copy_" && inputs.size() > 1 && on_host(0) && !on_host(1);
}

std::unique_ptr<at::ObserverContext> began(const at::RecordFunction& call) {
  counted.ended_last = false;
  counted.waits += waits_for_device(call);
  return nullptr;
}

void ended(const at::RecordFunction&, at::ObserverContext*) {
  counted.operators += !counted.ended_last;
  counted.ended_last = true;
}

}  // namespace

CallCounts::CallCounts()
    : handle_(at::addThreadLocalCallback(
          at::RecordFunctionCallback(began, ended).needsInputs(true).scopes({at::RecordScope::FUNCTION}))) {
  counted = {};
}
CallCounts::~CallCounts() {
  at::removeCallback(handle_);
}

std::int64_t CallCounts::operators() const {
  return counted.operators;
}
std::int64_t CallCounts::waits() const {
  return counted.waits;
}

}  // namespace dwgf::gpu
