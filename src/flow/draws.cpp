#include "flow/draws.hpp"

#include <numbers>
#include <utility>

#include <ATen/ATen.h>

#include "prior/nn/own_kernels.hpp"

namespace dwgf {

namespace {

constexpr std::int64_t kLow32 = 0xFFFFFFFF;

/// The high and the low half of the 64-bit product of two 32-bit numbers. The product may exceed int64; its
/// bits are those of the unsigned one.
std::pair<at::Tensor, at::Tensor> wide_product(const at::Tensor& a, std::int64_t b) {
  const at::Tensor product = a * b;
  return {at::bitwise_right_shift(product, 32).bitwise_and_(kLow32), product.bitwise_and(kLow32)};
}

}  // namespace

at::Tensor philox_words(std::int64_t samples, std::int64_t blocks, const DrawAddress& address,
                        const at::Device& device) {
  const auto integers = at::TensorOptions(at::kLong).device(device);
  const auto filled = [&](std::int64_t value) { return at::full({samples, blocks}, value, integers); };
  const at::Tensor particle = at::arange(samples, integers).add_(static_cast<std::int64_t>(address.particle));
  at::Tensor c0 = at::arange(blocks, integers).expand({samples, blocks});
  at::Tensor c1 = filled(address.step);
  at::Tensor c2 = particle.bitwise_and_(kLow32).unsqueeze(1).expand({samples, blocks});
  at::Tensor c3 = filled(static_cast<std::int64_t>(address.purpose));
  auto [key0, key1] = stream_key(address);
  for (int round = 0; round < 10; ++round) {
    const auto [high0, low0] = wide_product(c0, 0xD2511F53);
    const auto [high1, low1] = wide_product(c2, 0xCD9E8D57);
    c0 = high1.bitwise_xor(c1).bitwise_xor_(static_cast<std::int64_t>(key0));
    c2 = high0.bitwise_xor(c3).bitwise_xor_(static_cast<std::int64_t>(key1));
    c1 = low1;
    c3 = low0;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return at::stack({c0, c1, c2, c3}, 2);  // [samples, blocks, 4]
}

at::Tensor normals_on_device(const at::Tensor& like, const DrawAddress& address) {
  const std::int64_t samples = like.size(0);
  const std::int64_t count = samples == 0 ? 0 : like.numel() / samples;
  const at::Tensor words = philox_words(samples, (count + 3) / 4, address, like.device());  // [B, blocks, 4]
  const at::Tensor uniform =
      words.to(at::kDouble).add_(0.5).mul_(0x1p-32).unflatten(2, {2, 2});   // [B, blocks, pair, 2]
  const at::Tensor radius = uniform.select(3, 0).log().mul_(-2.0).sqrt_();  // [B, blocks, pair]
  const at::Tensor angle = uniform.select(3, 1) * (2.0 * std::numbers::pi);
  return at::stack({radius * angle.cos(), radius * angle.sin()}, 3)
      .to(at::kFloat)
      .flatten(1)  // [B, 4 blocks]
      .slice(1, 0, count)
      .reshape(like.sizes())
      .to(like.options());
}

namespace {

at::Tensor by_kernel(const DeviceKernels& kernels, const at::Tensor& like, const DrawAddress& address) {
  const auto number = kernel_number(like.scalar_type());
  const at::Tensor drawn =
      at::empty(like.sizes(), like.options().dtype(number ? like.scalar_type() : at::kFloat));
  if (drawn.numel() == 0) return drawn.to(like.options());
  kernels.normals({.address = address,
                   .samples = like.size(0),
                   .count = like.numel() / like.size(0),
                   .number = number.value_or(KernelNumber::float32),
                   .out = drawn.data_ptr()},
                  stream_of(like.device()));
  return drawn.to(like.options());
}

}  // namespace

at::Tensor normals_like(const at::Tensor& like, const DrawAddress& address) {
  if (const DeviceKernels* const kernels = own_kernels(like.device()))
    return by_kernel(*kernels, like, address);
  if (!like.device().is_cpu()) return normals_on_device(like, address);
  at::Tensor drawn = at::empty(like.sizes(), at::TensorOptions().dtype(at::kFloat));
  const std::int64_t samples = like.size(0);
  const std::int64_t count = samples == 0 ? 0 : like.numel() / samples;
  for (std::int64_t b = 0; b < samples; ++b) {
    DrawAddress sample = address;
    sample.particle += static_cast<std::uint32_t>(b);
    fill_normals(sample, {drawn.data_ptr<float>() + b * count, static_cast<std::size_t>(count)});
  }
  return drawn.to(like.options());
}

}  // namespace dwgf
