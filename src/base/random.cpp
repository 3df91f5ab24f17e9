#include <algorithm>
#include <cmath>
#include <numbers>

#include <dwgf/base/random.hpp>

namespace dwgf {

std::uint64_t splitmix64(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 0x100000001B3ULL;
  return hash;
}

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{counter[0]} * 0xD2511F53U;
    const std::uint64_t p1 = std::uint64_t{counter[2]} * 0xCD9E8D57U;
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
  return counter;
}

std::array<std::uint32_t, 2> stream_key(const DrawAddress& address) {
  const std::uint64_t key = splitmix64(splitmix64(address.seed) + address.image);
  return {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)};
}

namespace {

/// Calls use(block index, words) for as many blocks of four as `count` values need.
template <class Use>
void for_each_block(const DrawAddress& address, std::size_t count, Use&& use) {
  const std::array<std::uint32_t, 2> key = stream_key(address);
  for (std::size_t block = 0; 4 * block < count; ++block) {
    use(block, philox4x32({static_cast<std::uint32_t>(block), address.step, address.particle,
                           static_cast<std::uint32_t>(address.purpose)},
                          key));
  }
}

}  // namespace

void fill_normals(const DrawAddress& address, std::span<float> out) {
  for_each_block(address, out.size(), [&](std::size_t block, const std::array<std::uint32_t, 4>& words) {
    float values[4];
    for (int pair = 0; pair < 4; pair += 2) {
      const double radius = std::sqrt(-2.0 * std::log((words[pair] + 0.5) * 0x1p-32));
      const double angle = 2.0 * std::numbers::pi * ((words[pair + 1] + 0.5) * 0x1p-32);
      values[pair] = static_cast<float>(radius * std::cos(angle));
      values[pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
    const std::size_t first = 4 * block;
    std::copy_n(values, std::min<std::size_t>(4, out.size() - first),
                out.begin() + static_cast<std::ptrdiff_t>(first));
  });
}

void fill_uniforms(const DrawAddress& address, std::span<double> out) {
  for_each_block(address, out.size(), [&](std::size_t block, const std::array<std::uint32_t, 4>& words) {
    const std::size_t first = 4 * block;
    for (std::size_t i = 0; i < 4 && first + i < out.size(); ++i) out[first + i] = words[i] * 0x1p-32;
  });
}

}  // namespace dwgf
