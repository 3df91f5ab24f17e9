/// The calls of device_kernels.hpp as launches. `Launcher` is what queues a kernel:
///
///     template <class Kernel> void operator()(const Kernel&, const Grid&, void* stream) const
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "kernels/detail/group_norm.hpp"
#include "kernels/detail/interleaving.hpp"
#include "kernels/detail/moments.hpp"
#include "kernels/detail/normals.hpp"
#include "kernels/device_kernels.hpp"

namespace dwgf::kernels {

/// Calls f with a null pointer of the numbers' type.
template <class F>
void with_number(KernelNumber number, const F& f) {
  switch (number) {
    case KernelNumber::float32:
      return f(static_cast<float*>(nullptr));
    case KernelNumber::float16:
      return f(static_cast<Half*>(nullptr));
    case KernelNumber::bfloat16:
      return f(static_cast<Brain*>(nullptr));
  }
}

/// Whether packs of `vector` numbers of T may be taken from all of these: each is aligned, or null.
template <class T>
bool in_packs(std::int64_t channels, int vector, std::initializer_list<const void*> arrays) {
  return channels % vector == 0 && std::all_of(arrays.begin(), arrays.end(), [&](const void* array) {
           return reinterpret_cast<std::uintptr_t>(array) % (static_cast<std::size_t>(vector) * sizeof(T)) ==
                  0;
         });
}

inline std::int64_t blocks_for(std::int64_t threads, int of_block) {
  return (threads + of_block - 1) / of_block;
}

inline constexpr int kElementThreads = 128;

template <class Launcher>
class KernelCalls : public DeviceKernels {
 public:
  explicit KernelCalls(Launcher launch = {}) : launch_(std::move(launch)) {}

  void norm(const NormForward& call, void* stream) const override {
    with_number(call.shape.number, [&]<class T>(T*) {
      const bool packs =
          call.offset_stride % kVector<T> == 0 &&
          in_packs<T>(call.shape.channels, kVector<T>,
                      {call.x, call.offset, call.more, call.h, call.weight, call.bias, call.y});
      packs ? norm_of<T, kVector<T>>(call, stream) : norm_of<T, 1>(call, stream);
    });
  }

  void norm_vjp(const NormVjp& call, void* stream) const override {
    with_number(call.shape.number, [&]<class T>(T*) {
      const bool packs =
          in_packs<T>(call.shape.channels, kVector<T>,
                      {call.cotangent, call.x, call.weight, call.bias, call.more, call.gradient});
      packs ? norm_vjp_of<T, kVector<T>>(call, stream) : norm_vjp_of<T, 1>(call, stream);
    });
  }

  void interleave(const Interleaving& call, void* stream) const override {
    with_number(call.number, [&]<class T>(T*) {
      in_packs<T>(call.channels, kVector<T>, {call.from, call.to})
          ? interleave_of<T, kVector<T>>(call, stream)
          : interleave_of<T, 1>(call, stream);
    });
  }

  void normals(const NormalDraw& call, void* stream) const override {
    const std::int64_t quads = (call.count + 3) / 4;
    const auto [key0, key1] = stream_key(call.address);
    with_number(call.number, [&, key0 = key0, key1 = key1]<class T>(T*) {
      launch_(
          Normals<T>{call.samples, call.count, quads, key0, key1, call.address.particle, call.address.step,
                     static_cast<std::uint32_t>(call.address.purpose), static_cast<T*>(call.out)},
          Grid{blocks_for(call.samples * quads, kElementThreads), kElementThreads, 0}, stream);
    });
  }

  void add_moments(const EnsembleSums& call, void* stream) const override {
    const std::int64_t blocks = blocks_for(call.elements, kElementThreads);
    with_number(call.number, [&]<class T>(T*) {
      launch_(AddMoments<T>{call.samples, call.elements, static_cast<const T*>(call.values), call.limit,
                            call.sums, call.scratch},
              Grid{blocks, kElementThreads, kElementThreads * sizeof(float)}, stream);
    });
    launch_(AddBad{blocks, call.scratch, call.sums + 2 * call.elements}, Grid{1, 1, 0}, stream);
  }

  void moments(const MomentResults& call, void* stream) const override {
    launch_(FixedResults{call.elements, call.particles, call.sums, call.mean, call.variance},
            Grid{blocks_for(call.elements, kElementThreads), kElementThreads, 0}, stream);
  }

 private:
  template <class T, int vector>
  void interleave_of(const Interleaving& call, void* stream) const {
    const auto run = [&](const auto& kernel) {
      launch_(kernel, Grid{blocks_for(kernel.packs(), kElementThreads), kElementThreads, 0}, stream);
    };
    const T* const from = static_cast<const T*>(call.from);
    T* const to = static_cast<T*>(call.to);
    if (call.adjoint) {
      run(InterleaveAdjoint<T, vector>{call.samples, call.height, call.width, call.channels, from, to});
    } else {
      run(Interleave<T, vector>{call.samples, call.height, call.width, call.channels, from, to});
    }
  }

  template <class T, int vector>
  void norm_of(const NormForward& call, void* stream) const {
    const NormPlan plan = plan_norm(call.shape, vector);
    const auto array = [](const void* values) { return static_cast<const T*>(values); };
    const bool adds = call.offset || call.more;
    const std::size_t shared = static_cast<std::size_t>(plan.shared_floats()) * sizeof(float);
    launch_(NormSums<T, vector>{plan, array(call.x), array(call.offset), array(call.more), call.offset_stride,
                                adds ? static_cast<T*>(call.h) : nullptr, call.scratch},
            Grid{plan.samples * plan.parts, plan.threads(), shared}, stream);
    launch_(NormApply<T, vector>{plan, array(adds ? call.h : call.x), array(call.weight), array(call.bias),
                                 call.scratch, call.eps, call.activate, static_cast<T*>(call.y), call.mean,
                                 call.rate},
            Grid{plan.samples * plan.pieces, plan.threads(), shared}, stream);
  }

  template <class T, int vector>
  void norm_vjp_of(const NormVjp& call, void* stream) const {
    const NormPlan plan = plan_norm(call.shape, vector);
    const auto array = [](const void* values) { return static_cast<const T*>(values); };
    const std::size_t shared = static_cast<std::size_t>(plan.shared_floats()) * sizeof(float);
    launch_(NormVjpSums<T, vector>{plan, array(call.cotangent), array(call.x), array(call.weight),
                                   array(call.bias), call.mean, call.rate, call.activate, call.scratch},
            Grid{plan.samples * plan.parts, plan.threads(), shared}, stream);
    launch_(NormVjpApply<T, vector>{plan, array(call.cotangent), array(call.x), array(call.weight),
                                    array(call.bias), array(call.more), call.mean, call.rate, call.scratch,
                                    call.activate, static_cast<T*>(call.gradient)},
            Grid{plan.samples * plan.pieces, plan.threads(), shared}, stream);
  }

  Launcher launch_;
};

}  // namespace dwgf::kernels
