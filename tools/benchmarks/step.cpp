// One rank's steps of the flow, each begun by a line on standard input, so that another program can take
// turns between this one and others; and the machine's best rates. Started by tools/bench_step.py.
//   dwgf_bench_step steps PRIOR HEIGHT WIDTH PARTICLES MICRO_BATCH THREADS fp32|bf16 CONSISTENCY_EVERY
//   dwgf_bench_step rates THREADS fp32|bf16
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/operators/operator.hpp>
#include <dwgf/prior/families/stable_diffusion.hpp>

namespace {

using namespace dwgf;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Waits for a line before every step and prints the seconds that it took, those that processors computed for
/// it, and the peak memory [KiB] so far.
class Turns final : public FlowObserver {
 public:
  void begin(FlowState&, Monitor&) override { wait(); }
  bool at_step_boundary(const FlowState&, const Monitor&) override {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const double computing = static_cast<double>(std::clock() - clock_) / CLOCKS_PER_SEC;
    std::printf("%.9g %.9g %ld\n", seconds_since(start_), computing, usage.ru_maxrss);
    std::fflush(stdout);
    return wait();
  }

 private:
  bool wait() {
    std::string line;
    const bool more = static_cast<bool>(std::getline(std::cin, line));
    start_ = Clock::now();
    clock_ = std::clock();
    return more;
  }
  Clock::time_point start_;
  std::clock_t clock_ = 0;
};

int steps(char** arguments) {
  const std::string directory = arguments[0], precision = arguments[6];
  const std::int64_t height = std::atoll(arguments[1]), width = std::atoll(arguments[2]);
  at::set_num_threads(std::atoi(arguments[5]));
  const auto start = Clock::now();
  PriorOptions networks;
  if (precision == "bf16") networks.unet_type = networks.autoencoder_type = at::kBFloat16;
  const auto prior = load_stable_diffusion(directory, networks);
  std::printf("%.9g\n", seconds_since(start));
  std::fflush(stdout);

  const ImageShape shape{prior->geometry.image_channels, height, width};
  const auto forward = make_operator("mean:4", {.image_shape = shape});
  const Problem problem{*prior, *forward, at::rand({shape.channels, height / 4, width / 4}), shape};
  FlowOptions options;
  options.particles = std::atoll(arguments[3]);
  options.micro_batch = std::atoll(arguments[4]);
  options.data.consistency_every = std::atoll(arguments[7]);
  SelfCollective self;
  Turns turns;
  solve(problem, options, self, turns);
  return 0;
}

/// The best of several rates, GF/s.
template <class F>
double best_rate(double operations, F&& f) {
  double best = 0.0;
  for (int k = 0; k < 5; ++k) {
    const auto start = Clock::now();
    f();
    best = std::max(best, operations / seconds_since(start) * 1e-9);
  }
  return best;
}

int rates(char** arguments) {
  const c10::InferenceMode inference;
  at::set_num_threads(std::atoi(arguments[0]));
  const auto type = std::string(arguments[1]) == "bf16" ? at::kBFloat16 : at::kFloat;
  const at::Tensor a = at::randn({2048, 2048}).to(type), b = at::randn({2048, 2048}).to(type);
  const double gemm = best_rate(2.0 * 2048 * 2048 * 2048, [&] { at::matmul(a, b); });
  double convolution = 0.0;
  for (const auto& [channels, edge] : {std::pair(512, 64), {512, 32}, {256, 128}, {128, 256}}) {
    const at::Tensor w = at::randn({channels, channels, 3, 3}).to(type);
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const at::Tensor x = at::randn({1, channels, edge, edge}).to(type).contiguous(format),
                       v = w.contiguous(format);
      convolution = std::max(convolution, best_rate(18.0 * channels * channels * edge * edge,
                                                    [&] { at::conv2d(x, v, {}, 1, 1); }));
    }
  }
  std::printf("%.9g %.9g\n", gemm, convolution);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 10 && std::string(argv[1]) == "steps") return steps(argv + 2);
    if (argc == 4 && std::string(argv[1]) == "rates") return rates(argv + 2);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
  return 64;
}
