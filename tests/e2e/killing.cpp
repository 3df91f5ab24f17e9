#include "killing.hpp"

#include <chrono>
#include <thread>

#include <signal.h>

namespace dwgf::test {

using namespace std::chrono_literals;

bool wait_for_images(Process& process, const std::filesystem::path& results, std::int64_t images) {
  const auto start = std::chrono::steady_clock::now();
  while (committed(results) < images && process.running()) {
    if (std::chrono::steady_clock::now() - start > 60s) {
      ADD_FAILURE() << "no " << images << " images were committed within a minute";
      break;
    }
    std::this_thread::sleep_for(5ms);
  }
  return process.running();
}

void kill_victim(Process& process, Victim victim, std::mt19937& random) {
  const std::vector<pid_t> ranks = process.below(std::filesystem::path(program()).filename());
  if (victim == Victim::mpirun || victim == Victim::everything) kill(process.pid(), SIGKILL);
  if (victim == Victim::one_rank && !ranks.empty()) kill(ranks[random() % ranks.size()], SIGKILL);
  if (victim != Victim::one_rank && victim != Victim::mpirun) {
    for (const pid_t rank : ranks) kill(rank, SIGKILL);
  }
}

}  // namespace dwgf::test
