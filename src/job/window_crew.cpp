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
#include "job/window_rounds.hpp"

namespace dwgf {
namespace {

constexpr int kLeader = 0;

/// What a helper has to know of a call beside its tensors. `kind` is -1 where there will be none.
struct CallHeader {
  std::int64_t kind = -1;
  std::array<std::int64_t, 4> input{}, cotangent{};
  double signal = 0.0, noise = 0.0, time = 0.0;
  std::int64_t by_full_codec = 0;
  WindowShift shift = {};
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

int best_ranks_per_image(int ranks, std::int64_t images, std::int64_t micro_batches, std::int64_t windows) {
  precondition(ranks >= 1 && images >= 1, "ranks and images");
  int best = 1;
  std::int64_t fewest = 0;
  for (int size = 1; size <= ranks; ++size) {
    const CrewLayout layout = crew_layout(size, micro_batches, windows);
    const std::int64_t groups = share_of(ranks, size), busiest = share_of(images, static_cast<int>(groups)) *
                                                                 share_of(micro_batches, layout.leaders) *
                                                                 share_of(windows, layout.crew);
    if (ranks % size != 0 || (fewest != 0 && busiest >= fewest)) continue;
    fewest = busiest;
    best = size;
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

void SharedWindows::compute(const CallWindows& windows, const Take& take) const {
  const int ranks = crew_.host.size(), rank = crew_.host.rank();
  std::vector<std::int64_t> shape = windows.part_shape();
  const auto options = windows.call().input.options();
  const std::int64_t part_bytes =
      c10::multiply_integers(shape) * static_cast<std::int64_t>(options.dtype().itemsize());
  const WindowRounds rounds(windows.count(), ranks, part_bytes);
  shape.insert(shape.begin(), ranks * rounds[0].each);
  // One round on its way and one in the making. Who has no window left sends what is there.
  const std::array<at::Tensor, 2> parts{at::zeros(shape, options), at::zeros(shape, options)};
  const auto parts_of = [&](std::int64_t round) {  // [ranks each, B, ., m, m]
    return parts[static_cast<std::size_t>(round % 2)].narrow(0, 0, ranks * rounds[round].each);
  };
  std::unique_ptr<PendingCollective> on_its_way;
  const auto taken = [&](std::int64_t round) {
    on_its_way->wait();
    const at::Tensor arrived = parts_of(round);
    const std::int64_t first = rounds[round].first;
    for (std::int64_t k = first; k < std::min(first + arrived.size(0), windows.count()); ++k)
      take(arrived[k - first], k);
  };
  for (std::int64_t round = 0; round < rounds.count(); ++round) {
    const auto [first, each] = rounds[round];
    const at::Tensor making = parts_of(round), own = making.narrow(0, rank * each, each);
    for (std::int64_t j = 0; j < each && first + rank * each + j < windows.count(); ++j)
      own[j].copy_(windows.part(first + rank * each + j));
    if (on_its_way) taken(round - 1);
    on_its_way = crew_.tensors.start_all_gather(bytes_of(own), bytes_of(making));
  }
  taken(rounds.count() - 1);
}

at::Tensor SharedWindows::result(const CallWindows& windows) const {
  const WindowCall& call = windows.call();
  CallHeader header{static_cast<std::int64_t>(call.kind),
                    shape_of(call.input),
                    shape_of(call.cotangent),
                    call.level.signal,
                    call.level.noise,
                    call.level.time,
                    call.by_full_codec,
                    call.shift};
  crew_.host.broadcast(header_bytes(header), kLeader);
  shared(crew_.tensors, call.input, header.input, call.input.options());
  if (call.cotangent.defined()) shared(crew_.tensors, call.cotangent, header.cotangent, call.input.options());
  at::Tensor sum = at::zeros(windows.result_shape(), call.input.options());
  compute(windows, [&](const at::Tensor& part, std::int64_t k) { windows.blend(sum, part, k); });
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
                    header.by_full_codec != 0,
                    header.shift};
    if (header.cotangent[0] > 0) call.cotangent = shared(crew_.tensors, {}, header.cotangent, prior.options);
    compute(CallWindows(*prior.windows, std::move(call)), [](const at::Tensor&, std::int64_t) {});
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
