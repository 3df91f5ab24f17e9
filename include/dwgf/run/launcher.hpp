/// What the program takes from its environment, all of it: what the launcher says, and which MPI-IO to use.
#pragma once

#include <string>

namespace dwgf {

/// Before MPI starts: chooses ROMIO for MPI-IO where Open MPI offers both and the user did not choose
/// (measured steadier and faster for parallel HDF5 than OMPIO), and turns the signal of a file-size limit into
/// an error of the write.
void prepare_launch();

/// The number of tasks that the launcher announces to this process; 0 when it announces none.
int announced_tasks();

std::string version();
std::string unknown_command(const std::string& name);

/// The first line of an exception's text: libraries append stack traces that help no user.
std::string first_line(const std::string& text);

}  // namespace dwgf
