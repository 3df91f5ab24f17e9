/// Damage to files, the same in every run.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>

namespace dwgf {

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : engine_(seed) {}

  /// Less than `count`, which is at least 1.
  std::size_t below(std::size_t count) { return engine_() % count; }

  /// One to three changes: a byte, a bit, a piece cut out, repeated or filled, the end cut off, or something
  /// put in.
  void change(std::string& content) {
    for (std::size_t times = 1 + below(3); times > 0; --times) {
      if (content.empty()) content = "x";
      const std::size_t at = below(content.size()),
                        length = below(std::min<std::size_t>(content.size() - at, 16) + 1);
      const auto byte = static_cast<char>(below(256));
      switch (below(7)) {
        case 0:
          content[at] = byte;
          break;
        case 1:
          content[at] = static_cast<char>(content[at] ^ 1 << below(8));
          break;
        case 2:
          content.erase(at, length);
          break;
        case 3:
          content.insert(at, content.substr(at, length));
          break;
        case 4:
          content.replace(at, length, length, below(2) ? '\xFF' : '\0');
          break;
        case 5:
          content.resize(at);
          break;
        default:
          content.insert(at, 1, byte);
      }
    }
  }

 private:
  std::mt19937 engine_;
};

}  // namespace dwgf
