/// What `comm` and `store` share of MPI; no other layer includes this.
#pragma once

#include <mpi.h>

namespace dwgf {

struct MpiHandle {
  MPI_Comm value = MPI_COMM_NULL;
};

}  // namespace dwgf
