/// HDF5 files of unknown origin, tried in a process of their own first. The library's checks have gaps: a
/// damaged file may end the process that reads it. A short-lived process that reads as the program would,
/// within bounds of time and memory, turns that into an error in words.
#pragma once

#include <string>

namespace dwgf {

/// The first argument that makes a program that uses this do nothing but `answer_probe` of the second one,
/// before MPI starts.
inline constexpr const char* kProbeArgument = "__probe_hdf5";

/// In the probing process: opens the file, looks at every object and attribute, and reads all data; of
/// datasets of over 64 MiB the first and last 16 MiB. Memory is limited to 2 GiB and the file's size beyond
/// what the process has at its start, processor time to 20 s and 1 s for each 16 MiB of the file. Always 0,
/// also where the file is refused in words: the reader itself will say so.
int answer_probe(const std::string& path) noexcept;

/// Starts `program`, an executable file, to probe `path` and waits for its end. Throws DataError if that
/// process does not end in order (the library crashed, or the limits of `answer_probe` were met). Does
/// nothing for what is not an HDF5 file.
/// @pre the main function of `program` begins with what `kProbeArgument` says
void require_survivable(const std::string& path, const std::string& program);

}  // namespace dwgf
