/// The rounds in which a crew computes the windows of a call (job/window_crew.hpp). Without LibTorch, as a
/// simulator replays them.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dwgf {

/// Windows first ... first + ranks each - 1, of which rank r computes `each` from first + r each on, as far
/// as there are any.
struct WindowRound {
  std::int64_t first = 0, each = 1;
};

class WindowRounds {
 public:
  /// Eight rounds or more where a rank has as many windows, so that all but one are gathered while others are
  /// computed, but no more than needed for a round's parts to stay below 64 MiB, as each one takes time to
  /// begin. @pre all are at least 1
  WindowRounds(std::int64_t windows, int ranks, std::int64_t part_bytes)
      : windows_(windows),
        ranks_(ranks),
        each_(std::clamp(shared(shared(windows, ranks), kRounds), std::int64_t{1},
                         std::max<std::int64_t>(kHeldBytes / (ranks * part_bytes), 1))) {}

  std::int64_t count() const { return shared(windows_, ranks_ * each_); }
  /// Of the last one no more than is left is shared.
  WindowRound operator[](std::int64_t round) const {
    const std::int64_t first = round * ranks_ * each_;
    return {first, std::min(each_, shared(windows_ - first, ranks_))};
  }

 private:
  static constexpr std::int64_t kRounds = 8, kHeldBytes = std::int64_t{64} << 20;
  static std::int64_t shared(std::int64_t count, std::int64_t among) { return (count + among - 1) / among; }

  std::int64_t windows_, ranks_, each_;
};

}  // namespace dwgf
