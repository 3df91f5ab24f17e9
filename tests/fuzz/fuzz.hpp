/// A campaign of damaged files against one reader: every one is read, or refused by an Error with words; any
/// other exception, and what a sanitizer sees, is a fault.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dwgf {

struct FuzzTarget {
  std::string name;
  std::vector<std::string> seeds;                ///< sound files
  std::function<void(const std::string&)> read;  ///< of the file at a path, which ends as its seed's does
  /// HDF5 1.10 does not withstand every damaged file. Then each input is read by a process of its own, and
  /// one that does not return from HDF5 is counted as such and not as a fault.
  bool by_hdf5 = false;
  /// Damages a sound file's content, for input `number` of the target; empty: as Mutator does.
  std::function<void(std::string& content, std::uint32_t number)> change = {};
};

/// `PROGRAM TARGET COUNT [FIRST]`: the inputs FIRST ... FIRST + COUNT - 1 of a target, the same ones in every
/// run, and what became of them on one line. An input that is a fault is kept as TARGET-NUMBER, and named.
/// Without arguments: the targets' names. Returns the exit code.
int fuzz_main(int argc, char** argv, const std::vector<FuzzTarget>& targets);

/// The files of a folder with this ending (".tif"), sorted; all of them where it is empty.
std::vector<std::string> files_in(const std::string& folder, const std::string& ending = {});

}  // namespace dwgf
