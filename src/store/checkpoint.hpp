/// Snapshots of images that are being worked on, kept beside the results file in the folder
/// RESULTS.checkpoint: one file a rank, image and step, IMAGE.STEP.FIRST_PIECE, written aside and renamed,
/// with its checksum. Nobody waits for anybody: a step can be gone on from when the files of it, whoever
/// wrote them, hold all pieces. The two newest steps are kept, so that a damaged one leaves the one before.
///
/// Not synchronised to the disk: after a power failure a file may be short, which its checksum finds.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <dwgf/base/snapshot.hpp>

namespace dwgf {

class Checkpoints {
 public:
  /// Of one image. `job` identifies everything that its bits depend on; `pieces` is their number over all
  /// ranks.
  Checkpoints(const std::string& results_path, std::uint64_t image, std::uint64_t job, std::int64_t pieces);

  /// Writes this rank's part; nothing if it has no pieces. Throws IoError.
  void write(const Snapshot& snapshot);
  /// Removes all but the last two steps of what this object wrote.
  /// @pre every rank has written the last but one
  void remove_older();

  /// The steps of which there are files, newest first.
  std::vector<std::int64_t> steps() const;

  /// Pieces first ... first + count - 1 of a step. Throws DataError naming the file: damaged, of another job,
  /// or pieces that no file has.
  Snapshot read(std::int64_t step, std::int64_t first, std::int64_t count) const;

  /// Every file of this image, and the folder if that leaves it empty. What is not there is no error.
  void remove() const;

  /// The folder of a results file.
  static std::string folder(const std::string& results_path);
  /// Removes what belongs to none of `images`, halves of files included, and the folder if that leaves it
  /// empty. @pre no other process writes there
  static void keep_only(const std::string& results_path, std::span<const std::uint64_t> images);

 private:
  std::string folder_;
  std::uint64_t image_;
  std::uint64_t job_;
  std::int64_t pieces_;
  std::vector<std::string> written_;  // by this object, oldest first
};

}  // namespace dwgf
