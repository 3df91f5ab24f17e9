#include "store/hdf5_probe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <vector>

#include <fcntl.h>
#include <malloc.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_arrays.hpp"
#include "hdf5/hdf5_open.hpp"
#include "hdf5/hdf5_types.hpp"
#include "store/measurements.hpp"

extern char** environ;

namespace dwgf {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
constexpr std::size_t kMostNumbers = 16;  // of an attribute that any reader asks for

std::uint64_t bytes_of_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

/// HDF5's signature lies at byte 0, 512, 1024, 2048, and so on.
bool has_signature(const std::string& path) {
  constexpr std::array<char, 8> signature = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  std::ifstream file(path, std::ios::binary);
  const std::uint64_t size = bytes_of_file(path);
  for (std::uint64_t at = 0; file && at + signature.size() <= size; at = at == 0 ? 512 : 2 * at) {
    std::array<char, 8> found{};
    file.seekg(static_cast<std::streamoff>(at));
    if (file.read(found.data(), found.size()) && found == signature) return true;
  }
  return false;
}

void limit(int what, std::uint64_t most) {
  rlimit limits{};
  getrlimit(static_cast<__rlimit_resource_t>(what), &limits);
  limits.rlim_cur = std::min<rlim_t>(most, limits.rlim_max);
  setrlimit(static_cast<__rlimit_resource_t>(what), &limits);
}

/// The address space of this process, in bytes.
std::uint64_t bytes_of_process() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void read_some(const FlatDataset& data) {
  const hsize_t value = std::max<hsize_t>(data.value_bytes(), 1);
  const hsize_t piece = 16 * kMebibyte / value;
  const H5T_class_t kind = H5Tget_class(data.type());
  const bool numbers = kind == H5T_FLOAT || kind == H5T_INTEGER;
  const bool texts = kind == H5T_STRING && H5Tis_variable_str(data.type()) == 0;
  if (piece == 0 || !(numbers || texts)) return;
  const auto read = [&](hsize_t first, hsize_t count) {
    if (numbers) {
      data.read_floats(first, count);
    } else {
      std::vector<std::byte> bytes(count * value);
      data.read(first, bytes);
    }
  };
  if (data.size() * value > 64 * kMebibyte) {
    read(0, piece);
    read(data.size() - piece, piece);
    return;
  }
  for (hsize_t first = 0; first < data.size(); first += piece)
    read(first, std::min(piece, data.size() - first));
}

/// Goes on where something is refused, so that all of it is seen.
template <class Step>
void try_to(const Step& step) {
  try {
    step();
  } catch (const std::exception&) {
  }
}

herr_t visit_attribute(hid_t object, const char* name, const H5A_info_t*, void* path) {
  try_to([&] { read_text_attribute(object, name, *static_cast<const std::string*>(path)); });
  try_to([&] { read_number_attribute(object, name, *static_cast<const std::string*>(path), kMostNumbers); });
  return 0;
}

herr_t visit_link(hid_t file, const char* name, const H5L_info_t*, void* path) {
  const Hdf5Handle object(H5Oopen(file, name, H5P_DEFAULT), H5Oclose);
  if (!object) return 0;
  H5Aiterate2(object.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, visit_attribute, path);
  if (H5Iget_type(object.id()) == H5I_DATASET)
    try_to([&] { read_some(FlatDataset(file, name, *static_cast<const std::string*>(path))); });
  return 0;
}

void read_measurements(const std::string& path) {
  const MeasurementsFile file(path);
  const auto rows = static_cast<std::int64_t>(file.entries().size());
  for (const std::int64_t row : {std::int64_t{0}, rows - 1}) {
    try_to([&] { file.measurement(row); });
    if (file.has_truth()) try_to([&] { file.truth(row); });
    for (const char* kind : {"mask", "kernel", "matrix", "coils", "angles"})
      if (file.has_array(kind)) try_to([&] { file.array(kind, kind, row); });
  }
}

}  // namespace

int answer_probe(const std::string& path) noexcept {
  const std::uint64_t size = bytes_of_file(path);
  // What reads beyond an array or after its end meets no zeros by chance: some files crash only the second
  // reader.
  mallopt(M_PERTURB, 0xA5);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_AS, bytes_of_process() + 2048 * kMebibyte + size);
  limit(RLIMIT_CPU, 20 + size / (16 * kMebibyte));
  try_to([&] {
    std::string name = path;
    {
      const Hdf5Handle file = open_hdf5(path);
      H5Aiterate2(file.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, visit_attribute, &name);
      H5Lvisit(file.id(), H5_INDEX_NAME, H5_ITER_INC, visit_link, &name);
    }
    try_to([&] { read_measurements(path); });
  });
  // No tidying up at the end: what HDF5 still holds of a damaged file is not to be written or freed.
  _exit(0);
}

void require_survivable(const std::string& path, const std::string& program) {
  if (!has_signature(path)) return;
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&files, stream, "/dev/null", O_RDWR, 0);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::string name = "dwgf", argument = kProbeArgument, file = path;
  char* const arguments[] = {name.data(), argument.data(), file.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), &files, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    throw IoError("{} cannot be examined in a process of its own: {}", path, system_text(error));

  int status = 0;
  while (waitpid(child, &status, 0) != child) {
    if (errno != EINTR) return;  // somebody else waited for it, and knows no more than the reader will
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const std::string how =
      signal ? std::string(strsignal(signal)) : formatted("exit code {}", WEXITSTATUS(status));
  throw DataError("{}{}: it is damaged; copy it again from where it came from, or write it anew", path,
                  signal == SIGXCPU || signal == SIGKILL ? " keeps the HDF5 library busy without end"
                                                         : " makes the HDF5 library crash (" + how + ")");
}

}  // namespace dwgf
