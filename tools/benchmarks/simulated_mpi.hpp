// What the replay of a job takes from SimGrid beside MPI: simulated time, a file system, and memory that all
// simulated ranks share.
#pragma once

#include <cstddef>

namespace dwgf::simulated {

class Session {
 public:
  Session(int& argc, char**& argv);
  ~Session();
};

void sleep(double seconds);
/// Keeps the one storage of all ranks busy for this long; who comes while it is waits for those before.
void write_to_storage(double seconds);
std::byte* payload(std::size_t bytes);

}  // namespace dwgf::simulated
