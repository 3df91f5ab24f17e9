/// Results of slices of one data set -> one results file, as an undivided run would have written it: the same
/// rows in the same order, commits carried over with their checksums.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "store/results.hpp"

namespace dwgf {

/// A results file whose row r is row `first` + r of the data set.
struct ResultsSlice {
  std::string path;
  std::int64_t first = 0;
};

/// Rows [first, last) of the data set.
struct RowRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

/// An image that a slice calls committed, but whose bytes are not what its checksum says.
struct DamagedImage {
  std::string path;
  std::int64_t row = 0;  ///< in that file
  std::string name;
};

struct MergeReport {
  std::int64_t images = 0, committed = 0, failed = 0, missing = 0;
  std::vector<RowRange> gaps;         ///< between the first and the last row that any slice has
  std::vector<DamagedImage> damaged;  ///< not carried over
};

/// Writes PATH with the rows of all slices, in the order of the data set; complete or not there (made aside
/// as PATH.merging). Of an image that several slices have, a committed one is taken before a failed one and
/// that before none. Rows whose shape is smaller than the largest (a slice of smaller images) are filled as
/// `restore` fills them, and get the checksum of that. `attributes` become the file's.
///
/// By one rank. Throws DataError (slices of different structure; two that disagree about an image's identity;
/// two that have different results of one image), IoError (PATH exists; no space), and what opening throws.
MergeReport merge_results(const std::vector<ResultsSlice>& slices, const std::string& path,
                          const std::map<std::string, std::string>& attributes);

}  // namespace dwgf
