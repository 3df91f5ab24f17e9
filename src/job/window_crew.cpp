#include "job/window_crew.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"
#include "flow/tensor_bytes.hpp"
#include "job/memory_plan.hpp"

namespace dwgf {
namespace {

constexpr int kLeader = 0;

/// What a helper has to know of a call beside its tensors. `kind` is -1 where there will be none.
struct CallHeader {
  std::int64_t kind = -1;
  std::array<std::int64_t, 4> input{}, cotangent{};
  double signal = 0.0, noise = 0.0, time = 0.0;
  std::int64_t by_full_codec = 0;
};

std::span<std::byte> header_bytes(CallHeader& header) {
  return std::as_writable_bytes(std::span(&header, 1));
}

std::array<std::int64_t, 4> shape_of(const at::Tensor& tensor) {
  std::array<std::int64_t, 4> shape{};
  if (tensor.defined()) std::copy_n(tensor.sizes().begin(), 4, shape.begin());
  return shape;
}

/// A tensor of the leader's on every rank of the crew.
at::Tensor shared(Collective& tensors, const at::Tensor& own, const std::array<std::int64_t, 4>& shape,
                  const at::TensorOptions& options) {
  const at::Tensor tensor = own.defined() ? own.contiguous() : at::empty(shape, options);
  tensors.broadcast(bytes_of(tensor), kLeader);
  return tensor;
}

std::int64_t share_of(std::int64_t count, int ranks) {
  return (count + ranks - 1) / ranks;
}

}  // namespace

CrewLayout crew_layout(int group_size, std::int64_t micro_batches, std::int64_t windows) {
  precondition(group_size >= 1 && micro_batches >= 1 && windows >= 1, "a group with something to do");
  CrewLayout best;
  std::int64_t fewest = 0;
  for (int leaders = group_size; leaders >= 1; --leaders) {
    if (group_size % leaders != 0) continue;
    const int crew = group_size / leaders;
    const std::int64_t busiest = share_of(micro_batches, leaders) * share_of(windows, crew);
    if (fewest != 0 && busiest >= fewest) continue;
    fewest = busiest;
    best = {leaders, crew};
  }
  return best;
}

std::optional<WindowPlan> window_plan(const Prior& prior, const Canvas& canvas, const FlowOptions& flow,
                                      int group_size) {
  if (!prior.windows) return std::nullopt;
  WindowPlan plan{prior.windows->size};
  plan.count = window_count(canvas.latent_height, canvas.latent_width, plan.size);
  if (plan.count == 1) return std::nullopt;
  plan.crews = crew_layout(group_size, 1 + (flow.particles - 1) / flow.micro_batch, plan.count);
  return plan;
}

std::optional<WindowPlan> window_plan(const RestoreJob& job, int group_size) {
  const Canvas largest = largest_canvas(job);
  if (largest.height == 0) return std::nullopt;
  return window_plan(job.prior(), largest, job.flow(), group_size);
}

at::Tensor SharedWindows::gathered_parts(const CallWindows& windows) const {
  const int ranks = crew_.host.size(), rank = crew_.host.rank();
  const std::int64_t share = share_of(windows.count(), ranks);
  std::vector<std::int64_t> shape = windows.part_shape();
  shape.insert(shape.begin(), ranks * share);
  // What is left over in the last shares is never read. [ranks share, B, ., m, m]
  const at::Tensor parts = at::zeros(shape, windows.call().input.options());
  for (std::int64_t k = rank * share; k < std::min((rank + 1) * share, windows.count()); ++k)
    parts[k].copy_(windows.part(k));
  const at::Tensor own = parts.narrow(0, rank * share, share);
  crew_.tensors.all_gather(bytes_of(own), bytes_of(parts));
  return parts;
}

at::Tensor SharedWindows::result(const CallWindows& windows) const {
  const WindowCall& call = windows.call();
  CallHeader header{static_cast<std::int64_t>(call.kind),
                    shape_of(call.input),
                    shape_of(call.cotangent),
                    call.level.signal,
                    call.level.noise,
                    call.level.time,
                    call.by_full_codec};
  crew_.host.broadcast(header_bytes(header), kLeader);
  shared(crew_.tensors, call.input, header.input, call.input.options());
  if (call.cotangent.defined()) shared(crew_.tensors, call.cotangent, header.cotangent, call.input.options());
  const at::Tensor parts = gathered_parts(windows);
  at::Tensor sum = at::zeros(windows.result_shape(), call.input.options());
  for (std::int64_t k = 0; k < windows.count(); ++k) windows.blend(sum, parts[k], k);
  return sum;
}

void SharedWindows::release() const {
  CallHeader header;
  crew_.host.broadcast(header_bytes(header), kLeader);
}

void SharedWindows::serve(const Prior& prior, const std::function<void()>& between) const {
  precondition(prior.windows != nullptr, "a prior that works in windows");
  for (;;) {
    CallHeader header;
    crew_.host.broadcast(header_bytes(header), kLeader);
    if (header.kind < 0) return;
    WindowCall call{static_cast<WindowCall::Kind>(header.kind),
                    shared(crew_.tensors, {}, header.input, prior.options),
                    {},
                    {header.signal, header.noise, header.time},
                    prior.conditioning,
                    header.by_full_codec != 0};
    if (header.cotangent[0] > 0) call.cotangent = shared(crew_.tensors, {}, header.cotangent, prior.options);
    gathered_parts(CallWindows(*prior.windows, std::move(call)));
    between();
  }
}

GroupCrews::Crew::Crew(Communicator leading, Communicator sharing, const ComputeDevice& device,
                       Watchdog& watchdog)
    : leaders(std::move(leading)),
      ranks(std::move(sharing)),
      leader_tensors(leaders, device.device, device.connected),
      tensors(ranks, device.device, device.connected),
      watched_leaders(leaders, watchdog),
      watched_ranks(ranks, watchdog) {
  leader_tensors.watch(watchdog);
  tensors.watch(watchdog);
}

GroupCrews::Crew& GroupCrews::of(const CrewLayout& layout) {
  precondition(layout.leaders * layout.crew == group_.size(), "crews that make up the group");
  std::unique_ptr<Crew>& crew = crews_[layout.leaders];
  if (crew) return *crew;
  // Neighbours form a crew, as a group's ranks are numbered by node.
  const int number = group_.rank() / layout.crew, place = group_.rank() % layout.crew;
  Communicator leaders = group_.split(place == 0 ? 0 : 1, group_.rank());
  Communicator ranks = group_.split(number, place);
  crew = std::make_unique<Crew>(std::move(leaders), std::move(ranks), device_, watchdog_);
  return *crew;
}

}  // namespace dwgf
