/// A computation between two of its steps as plain bytes, cut so that it does not matter how it is laid out
/// over ranks: a part that is the same everywhere, and numbered pieces of which every rank holds some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dwgf {

struct Snapshot {
  struct Piece {
    std::int64_t number = 0;
    std::vector<std::byte> bytes;
  };

  std::int64_t step = 0;          ///< steps done
  std::vector<std::byte> shared;  ///< the same on every rank
  std::vector<Piece> pieces;      ///< this rank's, by number
};

}  // namespace dwgf
