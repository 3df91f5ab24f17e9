// Where SimGrid 3.32's MPI differs from what the comm layer asks for.
#include "simulated_mpi.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <mpi.h>
#include <simgrid/s4u.hpp>
#include <smpi/smpi.h>

namespace dwgf::simulated {

namespace s4u = simgrid::s4u;

namespace {

// Every rank sends from and receives into the same memory, which is never copied: what is simulated is the
// time.
constexpr std::size_t kRoom = std::size_t{8} << 30;

std::byte* room() {
  static auto* const memory = static_cast<std::byte*>(SMPI_SHARED_MALLOC(kRoom));
  return memory;
}

}  // namespace

Session::Session(int& argc, char**& argv) {
  MPI_Init(&argc, &argv);
}
Session::~Session() {
  MPI_Finalize();
}

void sleep(double seconds) {
  if (seconds > 0.0) s4u::this_actor::sleep_for(seconds);
}

void write_to_storage(double seconds) {
  static double free_at = 0.0;  // one for all ranks, as they share this process
  free_at = std::max(free_at, s4u::Engine::get_clock()) + seconds;
  sleep(free_at - s4u::Engine::get_clock());
}

std::byte* payload(std::size_t bytes) {
  xbt_assert(bytes <= kRoom / 2, "an exchange of %zu bytes is larger than the simulated memory", bytes);
  return room();
}

}  // namespace dwgf::simulated

// The non-blocking collectives of payload, as rings make them (NCCL's, and MPI's for large messages): every
// rank passes the whole volume on to its neighbour, (n - 1) / n of the gathered bytes, or twice that of the
// summed ones, while it computes. The ring's n - 1 rounds of latency are added when it waits, and it waits
// until every rank of the group does: longer than real ones would. SimGrid's own non-blocking ones send from
// every rank to every rank, and take a quadratic time to simulate.
namespace {

constexpr int kRingTag = 7301;
constexpr double kRoundLatency = 3e-6;  // of one round of a ring [s]
constexpr std::size_t kSmallMessage = 1
                                      << 15;  // below, a tree's rounds, which the wait's barrier has [bytes]

struct Ring {
  MPI_Comm comm;
  MPI_Request sent;
  double latency;
};
std::map<MPI_Request, Ring> rings;  // under way, of all ranks

bool is_payload(const void* to) {
  return to == dwgf::simulated::payload(1);
}

int start_ring(std::size_t volume, MPI_Comm comm, MPI_Request* request) {
  int rank = 0, size = 1;
  PMPI_Comm_rank(comm, &rank);
  PMPI_Comm_size(comm, &size);
  *request = MPI_REQUEST_NULL;
  if (size == 1) return MPI_SUCCESS;
  std::byte* const room = dwgf::simulated::payload(volume);
  MPI_Request sent = MPI_REQUEST_NULL;
  const int count = static_cast<int>(volume);
  PMPI_Irecv(room, count, MPI_BYTE, (rank + size - 1) % size, kRingTag, comm, request);
  PMPI_Isend(room, count, MPI_BYTE, (rank + 1) % size, kRingTag, comm, &sent);
  rings[*request] = {comm, sent, volume < kSmallMessage ? 0.0 : kRoundLatency * (size - 1)};
  return MPI_SUCCESS;
}

}  // namespace

extern "C" int MPI_Iallgather(const void* from, int own, MPI_Datatype own_type, void* to, int count,
                              MPI_Datatype type, MPI_Comm comm, MPI_Request* request) {
  int size = 1, bytes = 1;
  PMPI_Comm_size(comm, &size);
  PMPI_Type_size(type, &bytes);
  if (is_payload(to)) return start_ring(static_cast<std::size_t>(count) * bytes * (size - 1), comm, request);
  *request = MPI_REQUEST_NULL;  // numbers that count
  return PMPI_Allgather(from, own, own_type, to, count, type, comm);
}

// A pipeline along the ring, as NCCL's: whoever has a piece passes it on.
extern "C" int MPI_Bcast(void* to, int count, MPI_Datatype type, int root, MPI_Comm comm) {
  int rank = 0, size = 1, bytes = 1;
  PMPI_Comm_rank(comm, &rank);
  PMPI_Comm_size(comm, &size);
  PMPI_Type_size(type, &bytes);
  const std::size_t volume = static_cast<std::size_t>(count) * static_cast<std::size_t>(bytes);
  if (!is_payload(to) || volume < kSmallMessage) return PMPI_Bcast(to, count, type, root, comm);
  if (size == 1) return MPI_SUCCESS;
  MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
  if (rank != root) PMPI_Irecv(to, count, type, (rank + size - 1) % size, kRingTag, comm, &requests[0]);
  if ((rank + 1) % size != root) PMPI_Isend(to, count, type, (rank + 1) % size, kRingTag, comm, &requests[1]);
  const int code = PMPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
  dwgf::simulated::sleep(kRoundLatency * (size - 1));
  return code;
}

extern "C" int MPI_Iallreduce(const void* from, void* to, int count, MPI_Datatype type, MPI_Op op,
                              MPI_Comm comm, MPI_Request* request) {
  int size = 1, bytes = 1;
  PMPI_Comm_size(comm, &size);
  PMPI_Type_size(type, &bytes);
  if (is_payload(to))
    return start_ring(static_cast<std::size_t>(count) * bytes * 2 * (size - 1) / size, comm, request);
  *request = MPI_REQUEST_NULL;
  return PMPI_Allreduce(from, to, count, type, op, comm);
}

extern "C" int MPI_Waitall(int count, MPI_Request* requests, MPI_Status* statuses) {
  std::vector<Ring> ended;
  for (int k = 0; k < count; ++k) {
    const auto ring = rings.find(requests[k]);
    if (ring == rings.end()) continue;
    ended.push_back(ring->second);
    rings.erase(ring);
  }
  const int code = PMPI_Waitall(count, requests, statuses);
  for (Ring& ring : ended) {
    PMPI_Wait(&ring.sent, MPI_STATUS_IGNORE);
    dwgf::simulated::sleep(ring.latency);
    PMPI_Barrier(ring.comm);
  }
  return code;
}

// SimGrid's own makes every rank a group of its own and waits for all messages of rank 0 one by one: a
// quadratic time, minutes for 4,096 ranks. Here all ranks of a group share it.
extern "C" int MPI_Comm_split(MPI_Comm comm, int colour, int key, MPI_Comm* made) {
  static std::map<std::vector<int>, MPI_Group> groups;  // by world ranks
  struct Place {
    int colour, key, world_rank;
  };
  Place own{colour, key, 0};
  int size = 1;
  PMPI_Comm_rank(MPI_COMM_WORLD, &own.world_rank);
  PMPI_Comm_size(comm, &size);
  std::vector<Place> places(static_cast<std::size_t>(size));
  constexpr int kPlaceInts = sizeof(Place) / sizeof(int);
  const int code = PMPI_Allgather(&own, kPlaceInts, MPI_INT, places.data(), kPlaceInts, MPI_INT, comm);
  if (code != MPI_SUCCESS) return code;
  std::erase_if(places, [&](const Place& place) { return place.colour != colour; });
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.key < b.key; });
  std::vector<int> members;
  for (const Place& place : places) members.push_back(place.world_rank);
  const auto [found, is_new] = groups.try_emplace(std::move(members), MPI_GROUP_NULL);
  if (is_new) {
    MPI_Group world = MPI_GROUP_NULL;
    PMPI_Comm_group(MPI_COMM_WORLD, &world);
    PMPI_Group_incl(world, static_cast<int>(found->first.size()), found->first.data(), &found->second);
  }
  return PMPI_Comm_create(comm, found->second, made);
}

// Matched probes are not there; each rank has one thread, so a probe and a receive are the same.
namespace {
struct Probed {
  int source = 0, tag = 0;
  MPI_Comm comm = MPI_COMM_NULL;
} probed;
}  // namespace

extern "C" int MPI_Improbe(int source, int tag, MPI_Comm comm, int* flag, MPI_Message* message,
                           MPI_Status* status) {
  const int code = PMPI_Iprobe(source, tag, comm, flag, status);
  if (code == MPI_SUCCESS && *flag) probed = {status->MPI_SOURCE, status->MPI_TAG, comm};
  return code;
}

extern "C" int MPI_Mrecv(void* to, int count, MPI_Datatype type, MPI_Message*, MPI_Status* status) {
  return PMPI_Recv(to, count, type, probed.source, probed.tag, probed.comm, status);
}
