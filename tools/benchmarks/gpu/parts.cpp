#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>

#include <dwgf/base/format.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/flow/fixed_point.hpp>
#include <dwgf/operators/operator.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

#include "flow/draws.hpp"
#include "flow/terms/interaction.hpp"
#include "gpu/checks.hpp"

namespace dwgf::gpu {
namespace {

double relative(const at::Tensor& found, const at::Tensor& expected) {
  return ((found.cpu() - expected).norm() / expected.norm()).item<double>();
}

void check_draws(const at::Device& device, Table& table) {
  const DrawAddress address{~std::uint64_t{0}, 0xFEDCBA9876543210, 0xFFFFFFF0, 17, Purpose::noising};
  const at::Tensor host = philox_words(8, 4096, address, at::kCPU),
                   words = philox_words(8, 4096, address, device).cpu();
  table.check("random integers, largest difference", (host - words).abs().max().item<double>(), "",
              at::equal(host, words));
  const at::Tensor like = at::empty({8, 4, 64, 64}, at::kFloat);
  const at::Tensor expected = normals_like(like, address),
                   found = normals_on_device(like.to(device), address).cpu();
  const at::Tensor place = expected.abs() * std::numeric_limits<float>::epsilon();
  const double places = ((expected - found).abs() / place).max().item<double>();
  table.check("normals, largest difference", places, "last places of float32", places <= 1.0);
}

/// Passes everything on, and keeps what is summed: the integers before anything is divided.
class SumsSeen final : public Collective {
 public:
  SumsSeen(Collective& group, const at::Device& device) : group_(group), device_(device) {}
  at::Tensor sums;

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    return group_.start_all_gather(bytes, out);
  }
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override {
    const auto count = static_cast<std::int64_t>(values.size());
    sums = at::for_blob(values.data(), {count})
               .options(at::TensorOptions(at::kLong).device(device_))
               .target_device(device_)
               .make_tensor()
               .cpu()
               .clone();
    return group_.start_all_reduce_sum(values);
  }
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override {
    return group_.start_all_reduce_max(values);
  }
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override {
    group_.all_to_all(bytes, out);
  }
  void broadcast(std::span<std::byte> bytes, int root) override { group_.broadcast(bytes, root); }
  void barrier() override { group_.barrier(); }

 private:
  Collective& group_;
  at::Device device_;
};

// Not mean and variance: a GPU divides by a number as it multiplies by its inverse, in another last bit.
void check_moments(CheckedDevice& checked, Table& table) {
  const at::Tensor v = (0.37 * at::arange(16 * 4096, at::kDouble)).sin().reshape({16, 4096}).to(at::kFloat);
  const auto sums_on = [&](const at::Device& device, Collective& group) {
    SumsSeen seen(group, device);
    EnsembleMoments moments(4096, 16, device);
    moments.add(v.to(device), 16);
    moments.start(seen);
    moments.wait();
    return seen.sums;
  };
  SelfCollective self;
  const at::Tensor host = sums_on(at::kCPU, self), found = sums_on(checked.device(), checked.group().tensors);
  table.check("the ensemble's integer sums, largest difference",
              (host - found).abs().max().to(at::kDouble).item<double>(), "", at::equal(host, found));
}

void check_interactions(CheckedDevice& checked, Table& table) {
  const DdpmSchedule schedule{DdpmScheduleConfig{}};
  SelfCollective self;
  for (const auto& [kind, name] : {std::pair(InteractionKind::mixture, "mixture"),
                                   {InteractionKind::gaussian, "gaussian"},
                                   {InteractionKind::repulsion, "repulsion"},
                                   {InteractionKind::none, "none"}}) {
    const auto score_on = [&](const at::Device& device, Collective& group) {
      const FlowState state = initial_state(share_particles(16, 4, 0, 1), {4, 16, 16}, 1, 2,
                                            at::TensorOptions(at::kFloat).device(device));
      const auto interaction = make_interaction({.kind = kind}, group);
      interaction->begin(state);
      interaction->finish(state);
      const NoisedBatch noised =
          add_noise(state.batches[1], schedule.level(600), {1, 2, 0, 3, Purpose::noising});
      return interaction->score(state, 1, noised).score.cpu();
    };
    const double error =
        relative(score_on(checked.device(), checked.group().tensors), score_on(at::kCPU, self));
    table.check(formatted("score of the interaction {}", name), error, "relative L2", error < 1e-5);
  }
}

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

void check_exchange(const std::string& name, Collective& group, const at::Device& device, Table& table) {
  const auto on_device = at::TensorOptions().device(device);
  const at::Tensor sums = at::arange(100000, on_device.dtype(at::kLong));
  const at::Tensor expected = sums.cpu() * group.size();
  group.all_reduce_sum({sums.data_ptr<std::int64_t>(), static_cast<std::size_t>(sums.numel())});
  table.check(name + ": sums", group.size(), "ranks", at::equal(sums.cpu(), expected));
  const at::Tensor all = at::arange(5000, on_device.dtype(at::kFloat)).repeat({group.size()});
  const at::Tensor own = all.slice(0, 0, 5000);
  const at::Tensor before = all.cpu();
  group.all_gather(bytes_of(own), bytes_of(all));  // in place, as the flow does
  table.check(name + ": gathers", group.size(), "ranks", at::equal(all.cpu(), before));
}

/// One of every name, on 3 x 24 x 24 images; "5x3" stands for an array of that shape.
constexpr std::array kOperators = {
    "identity",      "box:1,2,5,5", "random:0.6",     "mask:24x24",        "mean:4",
    "bicubic:4",     "blur:5,1.2",  "motion:5,30",    "defocus:2",         "kernel:5x3",
    "grey",          "hdr",         "phase:4",        "quantise:17",       "jpeg:50",
    "fourier:24x24", "radon:7",     "matrix:17x1728", "blur:3,1 | mean:3", "grey | sense:2x3x24x24"};

at::Tensor addressed(at::IntArrayRef shape, std::uint32_t stream) {
  return normals_like(at::empty(shape, at::kDouble), {.seed = 1, .step = stream});
}

at::Tensor array_of(const std::string& kind, const std::string& reference) {
  std::vector<std::int64_t> shape{1};
  for (const std::string& extent : split(reference, 'x')) shape.push_back(std::stoll(extent));
  const at::Tensor values = addressed(shape, 7).squeeze(0);
  return kind == "mask" ? values.gt(0).to(at::kByte) : values;
}

void check_operators(const at::Device& device, Table& table) {
  std::vector<std::string> left = known_operators();
  const at::Tensor x = 0.4 * addressed({2, 3, 24, 24}, 1);
  for (const std::string spec : kOperators) {
    for (const std::string& stage : split(spec, '|'))
      std::erase(left, trim(stage.substr(0, stage.find(':'))));
    const auto forward =
        make_operator(spec, {.image_shape = {3, 24, 24}, .seed = 5, .image = 11, .load_array = array_of});
    const at::Tensor y = forward->apply(x), r = addressed(y.sizes(), 2);
    const double error =
        std::max(relative(forward->apply(x.to(device)), y),
                 relative(forward->pull_back(x.to(device), r.to(device)), forward->pull_back(x, r)));
    table.check(formatted("operator {}, float64", spec), error, "relative L2", error < 1e-10);
  }
  std::erase(left, "torch");  // a module that a user brings
  table.check("operators that were left out", static_cast<double>(left.size()), "", left.empty());
}

}  // namespace

void check_parts(CheckedDevice& checked, Table& table) {
  check_draws(checked.device(), table);
  check_moments(checked, table);
  check_interactions(checked, table);
  check_exchange("a group's exchange", checked.group().tensors, checked.device(), table);
  if (const auto connected = checked.connected()) check_exchange("NCCL", *connected, checked.device(), table);
  check_operators(checked.device(), table);
}

}  // namespace dwgf::gpu
