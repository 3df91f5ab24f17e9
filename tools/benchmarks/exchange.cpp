// Times what each interaction exchanges, alone, on latents of Stable Diffusion's size at 512 x 512: the worst
// case, as in a run the exchange is under way while the U-Net works. Started by `tools/bench exchange`.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <dwgf/base/text.hpp>
#include <dwgf/comm/mpi.hpp>

#include "flow/terms/interaction.hpp"

namespace {

using namespace dwgf;

constexpr std::int64_t kLatent[] = {4, 64, 64};

/// A group that counts what every rank sends.
class CountingCollective final : public Collective {
 public:
  explicit CountingCollective(Collective& group) : group_(group) {}
  std::uint64_t sent = 0;

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  std::unique_ptr<PendingCollective> start_all_gather(std::span<const std::byte> bytes,
                                                      std::span<std::byte> out) override {
    sent += bytes.size();
    return group_.start_all_gather(bytes, out);
  }
  std::unique_ptr<PendingCollective> start_all_reduce_sum(std::span<std::int64_t> values) override {
    sent += values.size_bytes();
    return group_.start_all_reduce_sum(values);
  }
  std::unique_ptr<PendingCollective> start_all_reduce_max(std::span<std::int64_t> values) override {
    sent += values.size_bytes();
    return group_.start_all_reduce_max(values);
  }
  void all_to_all(std::span<const std::byte> bytes, std::span<std::byte> out) override {
    sent += bytes.size();
    group_.all_to_all(bytes, out);
  }
  void broadcast(std::span<std::byte> bytes, int root) override { group_.broadcast(bytes, root); }
  void barrier() override { group_.barrier(); }

 private:
  Collective& group_;
};

struct Timing {
  double seconds = 0.0;  ///< median of the slowest rank
  std::uint64_t bytes = 0;
};

Timing time_exchange(InteractionKind kind, std::int64_t particles, int repetitions, Communicator& world) {
  const FlowState state =
      initial_state(share_particles(particles, 1, world.rank(), world.size()),
                    {kLatent[0], kLatent[1], kLatent[2]}, 1, 2, at::TensorOptions(at::kFloat));
  CountingCollective group(world);
  const auto interaction = make_interaction({.kind = kind}, group);
  std::vector<double> seconds;
  for (int k = 0; k <= repetitions; ++k) {
    group.sent = 0;
    world.barrier();
    const auto start = std::chrono::steady_clock::now();
    interaction->begin(state);
    interaction->finish(state);
    std::int64_t nanoseconds =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start)
            .count();
    world.all_reduce_max({&nanoseconds, 1});
    if (k > 0) seconds.push_back(static_cast<double>(nanoseconds) * 1e-9);  // the first one allocates
  }
  std::nth_element(seconds.begin(), seconds.begin() + repetitions / 2, seconds.end());
  return {seconds[static_cast<std::size_t>(repetitions / 2)], group.sent};
}

}  // namespace

int main(int argc, char** argv) {
  MpiSession session(argc, argv);
  Communicator world = Communicator::world();
  at::set_num_threads(1);
  const double step_seconds = argc > 1 ? std::atof(argv[1]) : 0.0;
  const std::int64_t most = argc > 2 ? std::atoll(argv[2]) : 1024;
  const std::string only = argc > 3 ? argv[3] : "";
  constexpr std::pair<InteractionKind, const char*> kKinds[] = {{InteractionKind::mixture, "mixture"},
                                                                {InteractionKind::gaussian, "gaussian"},
                                                                {InteractionKind::repulsion, "repulsion"},
                                                                {InteractionKind::none, "none"}};
  for (const auto& [kind, name] : kKinds) {
    if (!only.empty() && only != name) continue;
    for (std::int64_t particles = 8; particles <= most; particles *= particles < 64 ? 8 : 4) {
      const Timing timing = time_exchange(kind, particles, particles > 256 ? 3 : 7, world);
      if (world.rank() != 0) continue;
      const double step = step_seconds * static_cast<double>(particles) / world.size();
      std::printf("| %s | %lld | %d | %s | %.3g |", name, static_cast<long long>(particles), world.size(),
                  human_bytes(timing.bytes).c_str(), timing.seconds);
      if (step > 0.0) {
        std::printf(" %.2g %% |\n", 100.0 * timing.seconds / step);
      } else {
        std::printf(" - |\n");
      }
      std::fflush(stdout);
    }
  }
  return 0;
}
