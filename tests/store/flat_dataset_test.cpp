#include "hdf5/flat_dataset.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "temporary_directory.hpp"

namespace dwgf {
namespace {

TEST(FlatDataset, BoxesCoverARangeInOrder) {
  if (!on_one_rank()) return;
  const std::vector<hsize_t> shape{3, 2, 4, 5};
  for (hsize_t first = 0; first <= 120; ++first) {
    for (hsize_t count = 0; count <= 120 - first; ++count) {
      for (hsize_t limit : {1000u, 7u, 1u}) {
        hsize_t next = first;
        const auto boxes = boxes_of_range(shape, first, count, limit);
        for (const Box& box : boxes) {
          hsize_t values = 1, begin = 0;
          for (std::size_t d = 0; d < 4; ++d) {
            ASSERT_LE(box.start[d] + box.count[d], shape[d]);
            begin = begin * shape[d] + box.start[d];
            values *= box.count[d];
          }
          // Whole inside of the axis along which it has more than one: its values follow each other.
          std::size_t axis = 0;
          while (axis < 3 && box.count[axis] == 1) ++axis;
          for (std::size_t d = axis + 1; d < 4; ++d) ASSERT_EQ(box.count[d], shape[d]);
          ASSERT_EQ(begin, next);
          ASSERT_LE(values, limit);
          next += values;
        }
        ASSERT_EQ(next, first + count);
        if (limit == 1000) {
          ASSERT_LE(boxes.size(), 7u);
        }
      }
    }
  }
}

}  // namespace
}  // namespace dwgf
