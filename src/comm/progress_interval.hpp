/// How often a group tells rank 0 how far it is: twice a second where groups are few, and so seldom where
/// they are many that rank 0, which computes as well, reads at most 250 messages a second. (In simulation,
/// two a second from each of 4,096 groups cost rank 0, and at the end everyone who waits for it, several per
/// cent of its time.)
#pragma once

#include <algorithm>
#include <chrono>

namespace dwgf {

constexpr std::chrono::milliseconds progress_interval(int groups) {
  return std::chrono::milliseconds(std::max(500, 4 * groups));
}

}  // namespace dwgf
