// What only a GPU can show of the library, on one of them: started by tools/check-gpu. Prints a line a check;
// the exit code is 1 where one failed.
#include <cmath>
#include <cstdio>
#include <limits>

#include <ATen/ATen.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/fixed_point.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

#include "comm/device.hpp"
#include "flow/draws.hpp"
#include "flow/terms/interaction.hpp"

namespace {

using namespace dwgf;

const at::Device kGpu(at::kCUDA, 0);
bool all_good = true;

void check(const char* what, bool good, double figure) {
  std::printf("%-70s %s (%.3g)\n", what, good ? "good" : "WRONG", figure);
  all_good = all_good && good;
}

template <class T>
std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {reinterpret_cast<std::byte*>(tensor.data_ptr<T>()), tensor.nbytes()};
}

void check_draws() {
  const DrawAddress address{~std::uint64_t{0}, 0xFEDCBA9876543210, 0xFFFFFFF0, 17, Purpose::noising};
  const at::Tensor host = philox_words(8, 4096, address, at::kCPU),
                   device = philox_words(8, 4096, address, kGpu).cpu();
  check("random integers are the host's bits", at::equal(host, device),
        (host - device).abs().max().item<double>());

  const at::Tensor like = at::empty({8, 4, 64, 64}, at::kFloat);
  const at::Tensor expected = normals_like(like, address), found = normals_like(like.to(kGpu), address).cpu();
  const at::Tensor place = expected.abs() * std::numeric_limits<float>::epsilon();
  const double places = ((expected - found).abs() / place).max().item<double>();
  check("normals agree to the last place", places <= 1.0, places);
}

void check_moments() {
  const at::Tensor v = (0.37 * at::arange(16 * 4096, at::kDouble)).sin().reshape({16, 4096}).to(at::kFloat);
  SelfCollective self;
  EnsembleMoments host(4096, 16), device(4096, 16, kGpu);
  host.add(v, 16);
  device.add(v.to(kGpu), 16);
  host.start(self);
  device.start(self);
  host.wait();
  device.wait();
  check("the ensemble's sums are the host's bits",
        at::equal(host.mean(), device.mean().cpu()) && at::equal(host.variance(), device.variance().cpu()),
        0.0);
}

void check_interactions() {
  SelfCollective self;
  const DdpmSchedule schedule{DdpmScheduleConfig{}};
  for (const auto kind : {InteractionKind::mixture, InteractionKind::gaussian, InteractionKind::repulsion,
                          InteractionKind::none}) {
    const auto score_on = [&](const at::Device& device) {
      const FlowState state = initial_state(share_particles(16, 4, 0, 1), {4, 16, 16}, 1, 2,
                                            at::TensorOptions(at::kFloat).device(device));
      const auto interaction = make_interaction({.kind = kind}, self);
      interaction->begin(state);
      interaction->finish(state);
      return interaction
          ->score(state, 1, add_noise(state.batches[1], schedule.level(600), {1, 2, 0, 3, Purpose::noising}))
          .score.cpu();
    };
    const at::Tensor host = score_on(at::kCPU), device = score_on(kGpu);
    const double error = ((host - device).norm() / host.norm()).item<double>();
    const char* names[] = {"mixture score", "gaussian score", "repulsion score", "independent score"};
    check(names[static_cast<int>(kind)], error < 1e-5, error);
  }
}

void check_nccl(Communicator& world) {
  const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
  const auto nccl = device_backend().connect(world, 0, [&] { return guard.getStream(kGpu).native_handle(); });
  const at::Tensor sums = at::arange(100000, at::TensorOptions(at::kLong).device(kGpu));
  const at::Tensor expected = sums.cpu() * world.size();
  nccl->all_reduce_sum({sums.data_ptr<std::int64_t>(), static_cast<std::size_t>(sums.numel())});
  check("NCCL sums integers", at::equal(sums.cpu(), expected), 0.0);
  const at::Tensor own = at::arange(5000, at::TensorOptions(at::kFloat).device(kGpu));
  const at::Tensor all = at::zeros({world.size() * 5000}, own.options);
  nccl->all_gather(bytes_of<float>(own), bytes_of<float>(all));
  check("NCCL gathers", at::equal(all.cpu().slice(0, 0, 5000), own.cpu()), 0.0);
}

}  // namespace

int main(int argc, char** argv) {
  MpiSession session(argc, argv);
  Communicator world = Communicator::world();
  try {
    c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).setDevice(kGpu);
    check_draws();
    check_moments();
    check_interactions();
    check_nccl(world);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    std::fprintf(stderr, "check-gpu: %s\n", text.substr(0, text.find('\n')).c_str());
    return 1;
  }
  return all_good ? 0 : 1;
}
