/// Making a single file of rows. Private to `store`.
#pragma once

#include <string>
#include <vector>

#include "store/detail/shards.hpp"
#include "store/results.hpp"

namespace dwgf {

/// By one rank: PATH with the rows of `layout`, or with virtual ones where they lie in `shards`; complete and
/// on the disk or not there (made aside as PATH.creating). Throws IoError (PATH exists; no space).
void create_file_of_rows(const std::string& path, const ResultsLayout& layout,
                         const std::vector<ShardPlace>& shards = {});

}  // namespace dwgf
