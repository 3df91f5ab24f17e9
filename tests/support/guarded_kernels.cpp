// The guarded device's own kernels: those of GPUs, run by the host, over memory that is open while they do.
#include "kernels/device_kernels.hpp"
#include "support/guarded_counts.hpp"
#include "support/host_kernels.hpp"

namespace guarded {
namespace {

struct CountedLauncher {
  template <class Kernel>
  void operator()(const Kernel& kernel, const dwgf::kernels::Grid& grid, void* stream) const {
    count_operator("a kernel of the device's own");
    dwgf::test::HostLauncher()(kernel, grid, stream);
  }
};

class Kernels final : public dwgf::DeviceKernels {
 public:
  void norm(const dwgf::NormForward& call, void* stream) const override {
    const Opened opened({call.x, call.offset, call.more, call.h, call.weight, call.bias, call.y, call.mean,
                         call.rate, call.scratch});
    calls_.norm(call, stream);
  }
  void norm_vjp(const dwgf::NormVjp& call, void* stream) const override {
    const Opened opened({call.cotangent, call.x, call.mean, call.rate, call.weight, call.bias, call.more,
                         call.gradient, call.scratch});
    calls_.norm_vjp(call, stream);
  }
  void interleave(const dwgf::Interleaving& call, void* stream) const override {
    const Opened opened({call.from, call.to});
    calls_.interleave(call, stream);
  }
  void normals(const dwgf::NormalDraw& call, void* stream) const override {
    const Opened opened({call.out});
    calls_.normals(call, stream);
  }
  void add_moments(const dwgf::EnsembleSums& call, void* stream) const override {
    const Opened opened({call.values, call.sums, call.scratch});
    calls_.add_moments(call, stream);
  }
  void moments(const dwgf::MomentResults& call, void* stream) const override {
    const Opened opened({call.sums, call.mean, call.variance});
    calls_.moments(call, stream);
  }

 private:
  dwgf::kernels::KernelCalls<CountedLauncher> calls_;
};

}  // namespace
}  // namespace guarded

namespace dwgf {

const DeviceKernels* device_kernels() {
  static const guarded::Kernels kernels;
  return &kernels;
}

}  // namespace dwgf
