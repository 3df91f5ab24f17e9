#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/format.hpp>
#include <dwgf/flow/solve.hpp>

#include "flow/draws.hpp"
#include "gpu/call_counts.hpp"
#include "gpu/checks.hpp"
#include "gpu/network_calls.hpp"
#include "input/settings.hpp"

namespace dwgf::gpu {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kTimes = 3;

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

/// Median over a few calls after one, each waited for [ms].
double milliseconds(const CheckedDevice& checked, const std::function<void()>& call) {
  std::vector<double> times;
  for (int k = 0; k <= kTimes; ++k) {
    checked.wait();
    const auto start = Clock::now();
    call();
    checked.wait();
    if (k > 0) times.push_back(1e3 * std::chrono::duration<double>(Clock::now() - start).count());
  }
  return median(times);
}

/// Times of whole steps, and the calls of the last one.
class StepWatch final : public FlowObserver {
 public:
  explicit StepWatch(const CheckedDevice& checked) : checked_(checked) {}
  void begin(FlowState&, Monitor&) override { start_ = Clock::now(); }
  bool at_step_boundary(const FlowState&, const Monitor&) override {
    checked_.wait();
    times.push_back(1e3 * std::chrono::duration<double>(Clock::now() - start_).count());
    operators = calls_.operators() - operators_before_;
    waits = calls_.waits() - waits_before_;
    operators_before_ = calls_.operators();
    waits_before_ = calls_.waits();
    start_ = Clock::now();
    return true;
  }
  std::vector<double> times;
  std::int64_t operators = 0, waits = 0;

 private:
  const CheckedDevice& checked_;
  CallCounts calls_;
  Clock::time_point start_;
  std::int64_t operators_before_ = 0, waits_before_ = 0;
};

/// Where a row belongs, and the sizes of its calls.
struct TimedCase {
  std::string name;
  std::int64_t edge, samples;
};

/// `networks`: of the step's own calls, without those of the consistency term [ms].
void time_flow(CheckedDevice& checked, const Prior& prior, const TimedCase& one, const std::string& preset,
               double networks, Table& table) {
  FlowOptions options =
      parse_settings(*find_command("restore"), {"--flow.preset", preset}).as<JobInput>().method.options;
  options.steps = kTimes + 1;
  options.particles = options.micro_batch = one.samples;
  const ImageShape shape{prior.geometry.image_channels, one.edge, one.edge};
  const auto forward = make_operator("mean:4", {.image_shape = shape});
  const at::Tensor y = at::zeros({shape.channels, one.edge / 4, one.edge / 4}, at::kFloat);
  StepWatch watch(checked);
  solve(Problem{prior, *forward, y, shape}, options, checked.group(), watch);
  const double whole = median({watch.times.begin() + 1, watch.times.end()});
  const std::string name = formatted("{}: step of {}", one.name, preset);
  table.tell(name, whole, "ms");
  table.tell(name + ", a particle", whole / static_cast<double>(one.samples), "ms");
  if (preset == "fast") table.tell(name + ", without networks and draws", whole - networks, "ms");
  table.tell(name + ", operator calls", static_cast<double>(watch.operators), "");
  table.tell(name + ", waits of the host", static_cast<double>(watch.waits), "");
}

void time_case(CheckedDevice& checked, const Prior& prior, const TimedCase& one, Table& table) {
  const NetworkInputs in(prior, one.edge, one.samples);
  checked.take_peak_bytes();
  double networks = 0.0;
  const auto part = [&](const char* what, int in_a_step, const std::function<void()>& call) {
    const double time = milliseconds(checked, call);
    table.tell(formatted("{}: {}", one.name, what), time, "ms");
    networks += in_a_step * time;
  };
  part("U-Net", 1, [&] { prior.noise(in.z, in.level); });
  part("decode", 0, [&] { prior.codec->decode(in.z); });
  part("decode and vjp", 1, [&] { pulled_back(prior, in); });
  part("encode", 0, [&] { prior.codec->encode(in.x); });
  part("a draw of latents", 1, [&] { normals_like(in.z, {.seed = 1}); });
  part("a draw of images", 1, [&] { normals_like(in.x, {.seed = 1}); });
  for (const char* preset : {"fast", "paper"}) time_flow(checked, prior, one, preset, networks, table);
  if (const auto peak = checked.take_peak_bytes())
    table.tell(one.name + ": peak device memory", static_cast<double>(*peak) / (1 << 20), "MiB");
}

}  // namespace

void time_steps(CheckedDevice& checked, const std::string& path, const std::string& precision,
                const std::vector<std::int64_t>& edges, const std::vector<std::int64_t>& micro_batches,
                Table& table) {
  PriorOptions options = prior_options(precision, checked.device());
  for (const auto& [how, word] :
       {std::pair(DecoderGradient::plain, "plain"), {DecoderGradient::recompute, "recompute"}}) {
    options.decoder_gradient = how;
    const auto prior = load_prior(path, options);
    for (const std::int64_t edge : edges) {
      for (const std::int64_t samples : micro_batches) {
        const std::string name = formatted("{} {} M = {} {}", precision, edge, samples, word);
        time_case(checked, *prior, {name, edge, samples}, table);
      }
    }
  }
}

}  // namespace dwgf::gpu
