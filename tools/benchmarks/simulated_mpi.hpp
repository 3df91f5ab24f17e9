// What the replay of a job takes from SimGrid beside MPI: simulated time, a file system, and memory that all simulated ranks share.
#pragma once

#include <cstddef>

namespace dwgf::simulated {

class Session {
 public:
  Session(int& argc, char**& argv);
  ~Session();
};

void sleep(double seconds);
/// From this rank's host to the host `storage`, with whatever else is under way on the network.
void write_to_storage(double bytes);
std::byte* payload(std::size_t bytes);

}  // namespace dwgf::simulated
