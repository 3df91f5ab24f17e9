/// What Open MPI leaves behind on a node of jobs whose mpirun was killed: shared-memory segments and session
/// folders. Only what provably belongs to nobody any more is taken away.
///
///   SEGMENTS/vader_segment.HOST.UID.JOB.RANK   mapped by its rank for as long as that lives
///   ROOT/ompi.HOST.UID/pid.PID                 of the mpirun of that process number
///
/// Names as of Open MPI 4.1 (opal/mca/btl/vader/btl_vader_component.c, orte/util/session_dir.c). It needs no
/// MPI.
#pragma once

#include <string>
#include <vector>

namespace dwgf {

struct LeftoverPlaces {
  std::string segments;            ///< the folder of the segments: /dev/shm
  std::vector<std::string> roots;  ///< folders in which Open MPI makes its session folders: /tmp
};

/// Removes segments of this user on this host that no process has mapped or open, and session folders of this
/// user on this host whose mpirun is gone and of which no process has anything mapped or open. What else goes
/// under such names stays: links, other users' files, folders of process numbers that are in use again.
/// Nothing is removed where a process of this user cannot be looked into.
///
/// @pre jobs of this user on a host of this name share this process's view of the processes (one container,
/// say)
/// @return what was removed; errors leave things as they are and are not told
std::vector<std::string> remove_leftovers(const LeftoverPlaces& places);

}  // namespace dwgf
