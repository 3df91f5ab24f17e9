/// Arithmetic that a kind of device has kernels of its own for, where a library's operators take several
/// passes over memory: group normalisation with its activation, addressed normals, fixed-point sums.
/// kernels/devices has a source for each kind, chosen when the program is built, as in comm/devices.
///
/// Pointers are the device's memory. A call is queued on `stream` (a cudaStream_t, say) of the current device
/// and returns at once; what it reads has to live until the stream has come past it. Every sum has one order,
/// which depends on the shape alone: the same bits every time, on every device of the kind. Throws RankError
/// where a kernel cannot be queued.
#pragma once

#include <cstddef>
#include <cstdint>

#include <dwgf/base/random.hpp>

namespace dwgf {

/// The numbers of a tensor.
enum class KernelNumber { float32, float16, bfloat16 };

/// x [samples, positions, channels], channels next to each other, in `groups` of equal width.
struct NormShape {
  std::int64_t samples = 0, positions = 0, channels = 0, groups = 1;
  KernelNumber number = KernelNumber::float32;
};

/// Whether there are kernels for the shape: at least one number, at most 4,096 channels, at most 512 groups.
bool norm_is_served(const NormShape& shape);

/// Floats of scratch memory that a call needs.
std::size_t norm_scratch(const NormShape& shape);

/// h = x + offset + more,   y = act((h - mean) rate weight + bias)
///
/// mean and rate = 1 / sqrt(variance + eps) are those of every group of every sample, over its positions and
/// channels; sums in float32 from a thread's own origin, combined by their exact formula (Chan, Golub and
/// LeVeque 1983, doi:10.1080/00031305.1983.10483115); act is silu(u) = u / (1 + exp(-u)) or nothing.
/// Statistics are those of h as it is stored, rounded to the tensors' type. Two launches.
struct NormForward {
  NormShape shape;
  const void* x = nullptr;
  const void* offset = nullptr;    ///< [channels] of every sample, or null
  std::int64_t offset_stride = 0;  ///< from one sample's to the next; 0: the same for all
  const void* more = nullptr;      ///< like x, or null
  void* h = nullptr;               ///< like x; may be x or more; null where there is nothing to add
  const void *weight = nullptr, *bias = nullptr;  ///< [channels]
  double eps = 0.0;
  bool activate = false;
  void* y = nullptr;                       ///< like x; may be h
  float *mean = nullptr, *rate = nullptr;  ///< [samples, groups]
  float* scratch = nullptr;
};

/// J^T c + more of y = act((x - mean) rate weight + bias), with v = (x - mean) rate and d the cotangent of
/// the act's argument:
///
///     rate (w d - mean of w d - v mean of w d v),   means over a group
///
/// Two launches, each of which forms d from x and c.
struct NormVjp {
  NormShape shape;
  const void *cotangent = nullptr, *x = nullptr;
  const float *mean = nullptr, *rate = nullptr;   ///< [samples, groups], as the forward call left them
  const void *weight = nullptr, *bias = nullptr;  ///< [channels]
  const void* more = nullptr;                     ///< like x, or null
  bool activate = false;
  void* gradient = nullptr;  ///< like x; may be the cotangent or more
  float* scratch = nullptr;
};

/// What a draw of normals is written to: [samples, count] of a type, sample b by the address of particle
/// address.particle + b, each rounded to float32 first (dwgf/base/random.hpp). One launch.
struct NormalDraw {
  DrawAddress address;
  std::int64_t samples = 0, count = 0;
  KernelNumber number = KernelNumber::float32;
  void* out = nullptr;
};

/// sums += those of `values` [samples, elements]: int64 [2 elements + 1] of llrint(v 2^40), of llrint(v^2
/// 2^40), and of how many values have |v| or v^2 at `limit` or above or are not finite; such a v, or v^2,
/// counts as 0 in its sum. `scratch`: moment_scratch(elements) int64. Two launches.
struct EnsembleSums {
  std::int64_t samples = 0, elements = 0;
  KernelNumber number = KernelNumber::float32;
  const void* values = nullptr;
  double limit = 0.0;
  std::int64_t* sums = nullptr;
  std::int64_t* scratch = nullptr;
};
std::size_t moment_scratch(std::int64_t elements);

/// Mean, sums / (2^40 n), of n particles' sums, and their unbiased variance, at least 0, and 0 for n = 1; NaN
/// where anything was out of bounds. One launch.
struct MomentResults {
  std::int64_t elements = 0, particles = 0;
  const std::int64_t* sums = nullptr;
  double *mean = nullptr, *variance = nullptr;  ///< [elements]; either may be null
};

/// y[s, 2 i + a, 2 j + b, c] = x[s, i + a, j + b, (2 a + b) channels + c] for a, b in {0, 1}: from x
/// [samples, height + 1, width + 1, 4 channels] to y [samples, 2 height, 2 width, channels]; or the adjoint,
/// from y to x, which is 0 where no y is. One launch.
struct Interleaving {
  std::int64_t samples = 0, height = 0, width = 0, channels = 0;
  KernelNumber number = KernelNumber::float32;
  bool adjoint = false;
  const void* from = nullptr;
  void* to = nullptr;
};

class DeviceKernels {
 public:
  virtual ~DeviceKernels() = default;

  /// @pre norm_is_served(call.shape)
  virtual void norm(const NormForward& call, void* stream) const = 0;
  virtual void norm_vjp(const NormVjp& call, void* stream) const = 0;
  virtual void interleave(const Interleaving& call, void* stream) const = 0;
  virtual void normals(const NormalDraw& call, void* stream) const = 0;
  virtual void add_moments(const EnsembleSums& call, void* stream) const = 0;
  virtual void moments(const MomentResults& call, void* stream) const = 0;
};

/// The kernels of this build's kind of device; null where it has none.
const DeviceKernels* device_kernels();

}  // namespace dwgf
