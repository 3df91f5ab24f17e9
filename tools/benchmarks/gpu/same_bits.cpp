#include <functional>

#include <ATen/ATen.h>

#include <dwgf/base/format.hpp>
#include <dwgf/flow/solve.hpp>

#include "gpu/checks.hpp"
#include "gpu/network_calls.hpp"

namespace dwgf::gpu {
namespace {

/// 32 bits that depend on every bit and its place; exact as a double.
double digest(const at::Tensor& values) {
  const at::Tensor words = values.cpu().contiguous().flatten().view(at::kInt).to(at::kLong);
  const at::Tensor places = 2 * at::arange(words.numel(), at::kLong) + 1;
  return static_cast<double>((words * places).sum().item<std::int64_t>() & 0xFFFFFFFF);
}

void repeat(const std::string& what, int times, Table& table, const std::function<at::Tensor()>& call) {
  const at::Tensor first = call();
  int others = 0;
  for (int k = 1; k < times; ++k) others += !at::equal(call(), first);
  table.check(formatted("{}, {} times: results with other bits", what, times), others, "", others == 0);
  table.tell(formatted("{}: digest", what), digest(first), "");
}

/// The latents after a few steps of the method as published.
at::Tensor short_flow(CheckedDevice& checked, const Prior& prior, std::int64_t edge) {
  const ImageShape shape{prior.geometry.image_channels, edge, edge};
  const auto forward = make_operator("mean:4", {.image_shape = shape});
  const at::Tensor y = at::linspace(-1, 1, shape.channels * edge * edge / 16, at::kFloat)
                           .view({shape.channels, edge / 4, edge / 4});
  FlowOptions options{.particles = 2, .steps = 3};
  FlowObserver nobody;
  const Solution solution = solve(Problem{prior, *forward, y, shape}, options, checked.group(), nobody);
  std::vector<at::Tensor> latents;
  for (const ParticleBatch& batch : solution.state.batches) latents.push_back(batch.z);
  return at::cat(latents);
}

}  // namespace

void check_same_bits(CheckedDevice& checked, const std::string& path, std::int64_t edge, int times,
                     Table& table) {
  const auto prior = load_prior(path, prior_options("fp32", checked.device()));
  const NetworkInputs in(*prior, edge, 1);
  repeat("decode's vjp", times, table, [&] { return pulled_back(*prior, in); });
  repeat("decode", times, table, [&] { return prior->codec->decode(in.z); });
  repeat("encode", times, table, [&] { return prior->codec->encode(in.x).mean; });
  repeat("U-Net", times, table, [&] { return prior->noise(in.z, in.level); });
  repeat("three steps of the flow", 2, table, [&] { return short_flow(checked, *prior, edge); });
}

}  // namespace dwgf::gpu
