#include "comm/detail/mpi_check.hpp"

#include <string>

#include <dwgf/base/error.hpp>

namespace dwgf {

void check_mpi(int code, const MpiCall& call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING + 1] = "";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  int size = 0;
  if (call.comm != MPI_COMM_NULL) MPI_Comm_size(call.comm, &size);
  throw RankError(
      "{} of {} bytes in a group of {}{} failed: MPI says \"{}\" (code {}). Another rank may have failed "
      "first: look for the earliest message.",
      call.operation, call.bytes, size, size == 1 ? " rank" : " ranks",
      std::string(text, static_cast<std::size_t>(length)), code);
}

ByteType::ByteType(std::size_t bytes, std::size_t piece) {
  const MpiCall call{"making a data type", bytes};
  const std::size_t whole = bytes / piece;
  if (piece > std::numeric_limits<int>::max() || whole > std::numeric_limits<int>::max()) {
    throw InternalError("a message of {} bytes is more than MPI's counts can express", bytes);
  }
  if (whole == 0) {
    check_mpi(MPI_Type_contiguous(static_cast<int>(bytes), MPI_BYTE, &type_), call);
  } else {
    MPI_Datatype pieces = MPI_DATATYPE_NULL;
    check_mpi(MPI_Type_contiguous(static_cast<int>(piece), MPI_BYTE, &pieces), call);
    const int lengths[2] = {static_cast<int>(whole), static_cast<int>(bytes % piece)};
    const MPI_Aint places[2] = {0, static_cast<MPI_Aint>(whole * piece)};
    const MPI_Datatype types[2] = {pieces, MPI_BYTE};
    const int code = MPI_Type_create_struct(lengths[1] > 0 ? 2 : 1, lengths, places, types, &type_);
    MPI_Type_free(&pieces);
    check_mpi(code, call);
  }
  if (const int code = MPI_Type_commit(&type_); code != MPI_SUCCESS) {
    MPI_Type_free(&type_);
    check_mpi(code, call);
  }
}

// A type in use by an operation under way lives on inside MPI until that is complete.
ByteType::~ByteType() {
  MPI_Type_free(&type_);
}

}  // namespace dwgf
