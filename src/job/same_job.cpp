#include "job/same_job.hpp"

#include <algorithm>
#include <vector>

#include <dwgf/base/random.hpp>
#include <dwgf/base/text.hpp>

#include "comm/throw_on_all.hpp"

namespace dwgf {

void require_same_job(Communicator& world, const Settings& settings) {
  const std::string own = settings.listing();
  const std::uint64_t hash = fnv1a(own);
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(world.size()));
  world.all_gather(std::as_bytes(std::span(&hash, 1)), std::as_writable_bytes(std::span(hashes)));
  if (std::equal(hashes.begin() + 1, hashes.end(), hashes.begin())) return;
  const std::string first = world.broadcast_text(own, 0);
  throw_on_all<CollectiveError>(world, [&] {
    if (own == first) return;
    const std::vector<std::string> here = split(own, '\n'), there = split(first, '\n');
    const auto differing = std::mismatch(here.begin(), here.end(), there.begin(), there.end());
    throw UsageError("started with {}, but rank 0 with {}; start all ranks with the same options",
                     *differing.first, *differing.second);
  });
}

}  // namespace dwgf
