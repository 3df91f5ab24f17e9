/// How the rows of a results file are divided among shards, and how its virtual datasets say so. Private to
/// `store`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hdf5/hdf5_handle.hpp"
#include "store/results.hpp"

namespace dwgf {

/// A shard as the results file names it.
struct ShardPlace {
  std::string file;  ///< relative to the folder of the results file: "r.h5.shards/0.h5"
  std::int64_t first = 0, rows = 0;
};

/// `layout.shards` of nearly equal size, at most one an image; none if that is a single one.
std::vector<ShardPlace> planned_shards(const std::string& path, const ResultsLayout& layout);

/// Where the shard lies.
std::string path_of_shard(const std::string& results_path, const ShardPlace& place);

/// The folder of all shards.
std::string folder_of_shards(const std::string& results_path);

/// What shard `number` of `count` is to hold. The attribute `shard` of it says which it is: "0 of 4".
ResultsLayout layout_of_shard(const ResultsLayout& whole, const ShardPlace& place, std::size_t number,
                              std::size_t count);

/// Why a file of layout `found` is not the shard that `wanted` describes, as the rest of a sentence; empty if
/// it is.
std::string why_foreign(const ResultsLayout& found, const ResultsLayout& wanted);

/// Makes a dataset that is created with `create_list` a virtual one: its rows are those of `dataset` in the
/// shards.
void map_onto_shards(hid_t create_list, const std::string& dataset, const std::vector<hsize_t>& shape,
                     const std::vector<ShardPlace>& places);

/// The shards of an open results file of so many images; none if it is a single one. Throws DataError (rows
/// are mapped otherwise than `map_onto_shards` does, or onto files elsewhere).
std::vector<ShardPlace> read_shards(hid_t file, const std::string& path, hsize_t images);

}  // namespace dwgf
