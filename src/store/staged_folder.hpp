/// A folder of large files (a prior's weights) on every node of a job without every node reading the file
/// system: rank 0 reads each file once and broadcasts it in pieces to one rank of each other node, which
/// writes it to a place of its node's own (/dev/shm, a local disk). All ranks of a node then map one copy.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

class StagedFolder {
 public:
  /// Collective over `world`. `nodes` holds a label of every rank's node (nodes_of_ranks). `source` is read
  /// on rank 0 alone, nested folders and the targets of links included; `root` is an existing folder on every
  /// node. What a killed job left below `root` is removed. Throws the same error on every rank: NotFoundError
  /// (no such source), IoError (not readable; `root` missing, not writable, or full, with the bytes needed).
  StagedFolder(Communicator& world, std::span<const int> nodes, const std::string& source,
               const std::string& root);
  /// Not collective. Removes this node's copy, on the rank that wrote it; maps that are still open stay
  /// valid.
  ~StagedFolder();
  StagedFolder(const StagedFolder&) = delete;
  StagedFolder& operator=(const StagedFolder&) = delete;

  /// This node's copy.
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool owner_ = false;
};

}  // namespace dwgf
