#include "nccl_double.hpp"

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include "comm/devices/detail/cuda_api.hpp"

namespace nccl_double {
namespace {

struct World {
  MPI_Comm comm = MPI_COMM_NULL;
  std::vector<std::string> devices;
  Pace pace = Pace::eager;
  Faults faults;
  std::vector<std::string> calls, violations;
  std::map<const std::byte*, std::size_t> memory;
  std::set<const std::byte*> pinned;
  std::set<CUstream_st*> streams;
  std::set<CUevent_st*> events;
  std::set<ncclComm*> comms;
  std::unique_ptr<CUstream_st> compute;
  int device = -1;

  bool knows(CUstream_st* stream) const { return stream == compute.get() || streams.count(stream); }
};
World* world = new World;

void wrong(const std::string& what) {
  world->violations.push_back(what);
}
void note(const std::string& call) {
  world->calls.push_back(call);
}

}  // namespace
}  // namespace nccl_double

using nccl_double::note;
using nccl_double::Pace;
using nccl_double::world;
using nccl_double::wrong;

/// What an event stands for; it outlives the event where a stream still has to get there.
struct Mark {
  std::uint64_t asked = 0, passed = 0;  // how often it was recorded, and how often the stream got there
  CUstream_st* stream = nullptr;
};

struct CUevent_st {
  std::shared_ptr<Mark> mark = std::make_shared<Mark>();
};

struct CUstream_st {
  struct Work {
    std::function<void()> action;  ///< nothing: a wait
    std::function<bool()> may_run;
    std::shared_ptr<Mark> waits_for = {};
  };
  Pace pace = Pace::lazy;
  std::deque<Work> queue;
  bool working = false;

  /// Works off what may run. `force`: sees to it that what it waits for happens.
  void advance(bool force) {
    if (working) return;
    working = true;
    while (!queue.empty()) {
      Work work = queue.front();
      if (work.may_run && !work.may_run()) {
        CUstream_st* other = work.waits_for ? work.waits_for->stream : nullptr;
        if (!force || !world->knows(other) || other == this) break;
        other->advance(true);
        if (!work.may_run()) break;
      }
      queue.pop_front();
      if (work.action) work.action();
    }
    working = false;
  }
  void push(Work work) {
    queue.push_back(std::move(work));
    pump();
  }
  static void pump() {
    for (CUstream_st* stream : world->streams) {
      if (stream->pace == Pace::eager) stream->advance(false);
    }
  }
};

struct ncclComm {
  MPI_Comm comm = MPI_COMM_NULL;
  int rank = 0, size = 1, polls = 0;
  bool finalized = false, connected = false;
};

namespace nccl_double {

void reset(MPI_Comm comm, const std::vector<std::string>& devices, Pace collective_pace) {
  delete world;
  world = new World;
  world->comm = comm;
  world->devices = devices;
  world->pace = collective_pace;
  world->compute = std::make_unique<CUstream_st>();
}

Faults& faults() {
  return world->faults;
}
void* compute_stream() {
  return world->compute.get();
}
void launch(void* stream, std::function<void()> kernel) {
  static_cast<CUstream_st*>(stream)->push({std::move(kernel), {}, {}});
}
void synchronise(void* stream, bool may_hang) {
  auto* queue = static_cast<CUstream_st*>(stream);
  queue->advance(true);
  if (!queue->queue.empty() && !may_hang) wrong("a stream waits for something that nobody will do");
}
const std::vector<std::string>& calls() {
  return world->calls;
}
int count(const std::string& call) {
  int found = 0;
  for (const std::string& name : world->calls) found += name == call;
  return found;
}
std::vector<std::string> violations() {
  return world->violations;
}
int leaks() {
  return static_cast<int>(world->memory.size() + world->pinned.size() + world->streams.size() +
                          world->events.size() + world->comms.size());
}
int current_device() {
  return world->device;
}
void* allocate(std::size_t bytes) {
  void* pointer = nullptr;
  cudaMalloc(&pointer, bytes);
  return pointer;
}
void release(void* pointer) {
  cudaFree(pointer);
}

}  // namespace nccl_double

namespace {

bool is_device_memory(const void* pointer, std::size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(pointer);
  for (const auto& [start, size] : world->memory) {
    if (begin >= start && begin + bytes <= start + size) return true;
  }
  return false;
}

void require_live(ncclComm_t comm, const char* call) {
  note(call);
  if (!world->comms.count(comm)) wrong(std::string(call) + " on a communicator that is gone");
}

/// What all collectives share: the checks, and their place on the stream.
ncclResult_t collective(const char* call, ncclComm_t comm, cudaStream_t stream, const void* from,
                        std::size_t from_bytes, void* to, std::size_t to_bytes,
                        std::function<void()> action) {
  require_live(comm, call);
  if (!world->comms.count(comm)) return ncclInternalError;
  if (comm->polls > 0) wrong(std::string(call) + " while the call before it is still in progress");
  if (comm->finalized) wrong(std::string(call) + " after ncclCommFinalize");
  if (!world->streams.count(stream)) wrong(std::string(call) + " on a stream that is not NCCL's own");
  if (stream == world->compute.get()) wrong(std::string(call) + " on the compute stream");
  if (from_bytes && (!is_device_memory(from, from_bytes) || !is_device_memory(to, to_bytes)))
    wrong(std::string(call) + " on memory that is not the device's");
  if (world->device < 0) wrong(std::string(call) + " before a device was chosen");
  if (world->faults.fail_to_start) return ncclSystemError;
  comm->polls = world->faults.polls_in_progress;
  stream->push({std::move(action), [] { return !world->faults.others_never_come; }, {}});
  return comm->polls ? ncclInProgress : ncclSuccess;
}

}  // namespace

extern "C" {

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorNotReady ? "not ready" : "a made-up error";
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 12040;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = static_cast<int>(world->devices.size());
  return *count ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  std::strncpy(properties->name, "a made-up GPU", sizeof properties->name);
  const std::string& uuid = world->devices.at(static_cast<std::size_t>(device));
  properties->multiProcessorCount = 7;
  properties->major = 9;
  properties->minor = 0;
  std::memset(properties->uuid.bytes, 0, sizeof properties->uuid.bytes);
  std::memcpy(properties->uuid.bytes, uuid.data(), std::min(uuid.size(), sizeof properties->uuid.bytes));
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  note("cudaSetDevice");
  if (device < 0 || device >= static_cast<int>(world->devices.size())) return cudaErrorUnknown;
  world->device = device;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  auto* memory = new std::byte[bytes]{};
  world->memory[memory] = bytes;
  *pointer = memory;
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  if (!world->memory.erase(static_cast<std::byte*>(pointer))) {
    wrong("cudaFree of memory that is not the device's");
    return cudaErrorUnknown;
  }
  delete[] static_cast<std::byte*>(pointer);
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  attributes->type = is_device_memory(pointer, 1) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = world->device;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  auto* memory = new std::byte[bytes]{};
  world->pinned.insert(memory);
  *pointer = memory;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  if (!world->pinned.erase(static_cast<std::byte*>(pointer)))
    wrong("cudaFreeHost of memory that is not pinned");
  delete[] static_cast<std::byte*>(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  note("cudaMemcpyAsync");
  const void* const device = kind == cudaMemcpyHostToDevice ? to : from;
  if (!is_device_memory(device, bytes)) wrong("cudaMemcpyAsync of memory that is not the device's");
  if (!world->knows(stream)) wrong("cudaMemcpyAsync on a stream that is gone");
  stream->push({[=] { std::memcpy(to, from, bytes); }, {}, {}});
  return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  if (priority != -5) wrong("a stream that waits behind the kernels of a network");
  if (flags != cudaStreamNonBlocking) wrong("a stream that waits for the default stream");
  *stream = new CUstream_st;
  (*stream)->pace = world->pace;
  world->streams.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!world->streams.erase(stream)) wrong("cudaStreamDestroy of a stream that is gone");
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  note("cudaStreamWaitEvent");
  if (!world->events.count(event)) wrong("a wait for an event that is gone");
  const std::shared_ptr<Mark> mark = event->mark;
  if (mark->asked == 0) wrong("a wait for an event that was never recorded, which CUDA takes as done");
  stream->push({{}, [mark, wanted = mark->asked] { return mark->passed >= wanted; }, mark});
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  world->events.insert(*event);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!world->events.erase(event)) wrong("cudaEventDestroy of an event that is gone");
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  note("cudaEventRecord");
  const std::shared_ptr<Mark> mark = event->mark;
  mark->stream = stream;
  stream->push({[mark, number = ++mark->asked] {
                  mark->passed = number;
                  CUstream_st::pump();
                },
                {},
                {}});
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Mark& mark = *event->mark;
  if (world->knows(mark.stream)) mark.stream->advance(true);
  return mark.passed >= mark.asked ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (cudaEventQuery(event) != cudaSuccess) wrong("a wait for an event that nobody will reach");
  return cudaSuccess;
}

const char* ncclGetErrorString(ncclResult_t) {
  return "a made-up NCCL error";
}
const char* ncclGetLastError(ncclComm_t) {
  return "as commanded";
}
ncclResult_t ncclGetVersion(int* version) {
  *version = 22705;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  note("ncclGetUniqueId");
  std::strcpy(id->internal, "the one id");
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  note("ncclCommInitRankConfig");
  if (std::string(id.internal) != "the one id") wrong("the id is not the one that was made");
  if (config->blocking != 0) wrong("a communicator whose calls block");
  if (world->device < 0) wrong("a communicator before a device was chosen");
  if (world->faults.refuse_to_connect) return ncclSystemError;
  *comm = new ncclComm;
  world->comms.insert(*comm);
  (*comm)->comm = world->comm;
  int mpi_rank = 0, mpi_size = 0;
  MPI_Comm_rank(world->comm, &mpi_rank);
  MPI_Comm_size(world->comm, &mpi_size);
  if (ranks != mpi_size || rank != mpi_rank) wrong("a communicator of other ranks than the group's");
  (*comm)->rank = rank;
  (*comm)->size = ranks;
  (*comm)->polls = world->faults.polls_in_progress;
  return (*comm)->polls ? ncclInProgress : ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result) {
  require_live(comm, "ncclCommGetAsyncError");
  *result = ncclSuccess;
  if (world->faults.remote_error) {
    *result = ncclRemoteError;
  } else if (world->faults.never_connect) {
    *result = ncclInProgress;
  } else if (comm->polls > 0) {
    --comm->polls;
    *result = ncclInProgress;
  }
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  require_live(comm, "ncclCommFinalize");
  if (comm->finalized) wrong("ncclCommFinalize twice");
  comm->finalized = true;
  comm->polls = world->faults.polls_in_progress;
  return comm->polls ? ncclInProgress : ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  require_live(comm, "ncclCommDestroy");
  if (!comm->finalized || comm->polls > 0) wrong("ncclCommDestroy before the end of ncclCommFinalize");
  world->comms.erase(comm);
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  require_live(comm, "ncclCommAbort");
  world->comms.erase(comm);
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  if (type != ncclInt8) wrong("bytes are gathered as bytes");
  const MPI_Comm mpi = comm->comm;
  const std::size_t all = count * static_cast<std::size_t>(comm->size);
  return collective("ncclAllGather", comm, stream, from, count, to, all, [=] {
    const std::vector<std::byte> own(static_cast<const std::byte*>(from),
                                     static_cast<const std::byte*>(from) + count);
    MPI_Allgather(own.data(), static_cast<int>(count), MPI_BYTE, to, static_cast<int>(count), MPI_BYTE, mpi);
  });
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  if (type != ncclInt64) wrong("numbers are reduced as 64-bit integers");
  const MPI_Comm mpi = comm->comm;
  return collective("ncclAllReduce", comm, stream, from, 8 * count, to, 8 * count, [=] {
    const std::vector<std::int64_t> own(static_cast<const std::int64_t*>(from),
                                        static_cast<const std::int64_t*>(from) + count);
    MPI_Allreduce(own.data(), to, static_cast<int>(count), MPI_INT64_T, op == ncclSum ? MPI_SUM : MPI_MAX,
                  mpi);
  });
}
ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  const MPI_Comm mpi = comm->comm;
  return collective("ncclBroadcast", comm, stream, from, count, to, count,
                    [=] { MPI_Bcast(to, static_cast<int>(count), MPI_BYTE, root, mpi); });
}
}
