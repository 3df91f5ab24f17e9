/// Return codes of MPI as errors, and counts beyond what an `int` holds.
#pragma once

#include <cstddef>
#include <limits>

#include <mpi.h>

namespace dwgf {

/// What was asked of MPI, for the error's text.
struct MpiCall {
  const char* operation = "";
  std::size_t bytes = 0;
  MPI_Comm comm = MPI_COMM_NULL;
};

/// Throws RankError naming the operation, its size, the group and MPI's own words, unless `code` is
/// MPI_SUCCESS.
void check_mpi(int code, const MpiCall& call);

/// A data type of exactly so many bytes, so that one element of it is one message of any size: MPI's counts
/// are `int`s.
class ByteType {
 public:
  /// @param piece the largest count that MPI is given (less only in tests)
  explicit ByteType(std::size_t bytes, std::size_t piece = std::size_t{1} << 30);
  ~ByteType();
  ByteType(const ByteType&) = delete;
  ByteType& operator=(const ByteType&) = delete;

  MPI_Datatype value() const { return type_; }

 private:
  MPI_Datatype type_ = MPI_DATATYPE_NULL;
};

}  // namespace dwgf
