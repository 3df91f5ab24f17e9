/// What the program takes from its environment, all of it: what the launcher says, and which MPI-IO to use.
#pragma once

#include <string>

namespace dwgf {

/// Before MPI starts: chooses ROMIO for MPI-IO where Open MPI offers both and the user did not choose
/// (measured steadier and faster for parallel HDF5 than OMPIO), lets a process that no launcher started do
/// without Open MPI's daemon (which only serves those who spawn more), turns the signal of a file-size limit
/// into an error of the write, leaves a crash to the system (Open MPI's handler hangs where the crash was
/// inside malloc), and keeps tensors of 4 MiB and more out of the heap (glibc).
void prepare_launch();

/// The number of tasks that the launcher announces to this process; 0 when it announces none.
int announced_tasks();

/// The number of tasks that a batch job was given, as seen by a program that was not started as a step of it:
/// 0 outside of a batch job, or inside of a step.
int allocated_tasks();

/// Who started this process, for logs: "Slurm job 12 (task 3 of array 10), step 0, srun" or "mpirun",
/// "alone".
std::string launcher_identity();

std::string version();

/// The first line of an exception's text: libraries append stack traces that help no user.
std::string first_line(const std::string& text);

}  // namespace dwgf
