#include "workplace.hpp"

#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>

#include "data/npy.hpp"
#include "data/png.hpp"

namespace dwgf::test {

namespace fs = std::filesystem;

namespace {

fs::path place;
std::optional<ForkServer> server;  // started where it is first used

// Open MPI as root, with more ranks than cores, and with all that it leaves behind after a kill inside the
// workplace. Each mpirun has a directory of its own: two that start and end at the same moment can otherwise
// trip over a common one.
std::map<std::string, std::string> variables() {
  static int count = 0;
  const fs::path scratch = place / ("mpi" + std::to_string(++count));
  fs::create_directory(scratch);
  return {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
          {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
          {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
          {"OMPI_MCA_hwloc_base_binding_policy", "none"},
          {"OMPI_MCA_mpi_yield_when_idle", "1"},
          {"OMPI_MCA_btl_base_warn_component_unused", "0"},
          {"OMPI_MCA_btl_vader_backing_directory", scratch},
          {"MPIEXEC_TIMEOUT", std::to_string(kLimit)},  // of Open MPI and of MPICH
          {"OMP_NUM_THREADS", "1"},
          {"TMPDIR", scratch}};
}

}  // namespace

const fs::path& workplace() {
  return place;
}

void make_workplace() {
  std::string name = fs::temp_directory_path() / "dwgf-e2e-XXXXXX";
  if (!mkdtemp(name.data())) throw std::runtime_error("cannot make " + name);
  place = name;
  fs::create_directory(place / "output");
}

void remove_workplace() {
  server.reset();
  std::error_code ignored;
  if (!place.empty()) fs::remove_all(place, ignored);
}

fs::path new_folder(const std::string& name) {
  for (int number = 0;; ++number) {
    const fs::path path = place / (name + (number ? std::to_string(number) : ""));
    if (fs::create_directory(path)) return path;
  }
}

const std::string& program() {
  // A copy, so that a build that replaces the program meanwhile does not matter.
  static const std::string path = [] {
    fs::copy_file(DWGF_PROGRAM, place / "dwgf");
    fs::create_directories(place / "libexec/dwgf");
    fs::copy_file(DWGF_TENSOR_PROGRAM, place / "libexec/dwgf/dwgf");
    return (place / "dwgf").string();
  }();
  return path;
}

std::vector<std::string> command_line(int ranks, const Arguments& arguments) {
  std::vector<std::string> words;
  if (ranks > 0) words = {DWGF_MPIEXEC, "-n", std::to_string(ranks)};
  words.push_back(program());
  return words + arguments;
}

Process start_command(const std::vector<std::string>& command) {
  return {command, place, place / "output", variables()};
}
Process start(int ranks, const Arguments& arguments) {
  const std::vector<std::string> command = command_line(ranks, arguments);
  if (ranks > 0) return start_command(command);
  if (!server) server.emplace(DWGF_FORK_SERVER, environment(variables()));
  return {command, place, place / "output", variables(), &*server};
}
Finished run(int ranks, const Arguments& arguments) {
  return start(ranks, arguments).wait(std::chrono::seconds(kPatience));
}

Arguments operator+(Arguments first, const Arguments& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

fs::path small_prior() {
  return fs::path(DWGF_TEST_DATA) / "prior/sd1";
}

Arguments small_job(const fs::path& images, const fs::path& out, const Arguments& more) {
  Arguments words = {"restore",    "--input.data",       images.string(), "--store.out",
                     out.string(), "--prior.path",       small_prior(),   "--flow.grid",
                     "20",         "--problem.operator", "mean:4"};
  const bool steps_given = std::find(more.begin(), more.end(), "--flow.steps") != more.end();
  if (!steps_given) words = words + Arguments{"--flow.steps", "2"};
  // An option is given once: the later one takes the earlier one's place.
  for (std::size_t k = 0; k + 1 < more.size(); k += 2) {
    const auto earlier = std::find(words.begin(), words.end(), more[k]);
    if (earlier != words.end()) words.erase(earlier, earlier + 2);
  }
  return words + more;
}

fs::path make_array(const fs::path& path, std::int64_t count, unsigned seed, std::int64_t size) {
  std::mt19937 engine(seed);
  std::vector<float> values(static_cast<std::size_t>(count * 3 * size * size));
  for (float& value : values) value = static_cast<float>(engine() % 2001) / 1000.0f - 1.0f;
  write_npy(path.string(), {count, 3, size, size}, values);
  return path;
}

void make_picture(const fs::path& path, unsigned seed, int height, int width) {
  std::mt19937 engine(seed);
  PngImage image{height, width, 3, 8, {}};
  for (int k = 0; k < height * width * 3; ++k)
    image.samples.push_back(static_cast<std::uint16_t>(engine() % 256));
  write_png(path.string(), image);
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

void cut(const fs::path& from, const fs::path& to, std::size_t bytes) {
  write_text(to, read_text(from).substr(0, bytes));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> own_lines(const std::string& err) {
  std::vector<std::string> lines;
  std::istringstream in(err);
  std::string line;
  bool mpirun_speaks = false;
  while (std::getline(in, line)) {
    if (line.size() > 60 && line.find_first_not_of('-') == std::string::npos) {
      mpirun_speaks = !mpirun_speaks;
    } else if (!mpirun_speaks && !line.empty() && !line.starts_with("[") && !line.starts_with("mpirun")) {
      lines.push_back(line);
    }
  }
  return lines;
}

void expect_readable(const Finished& finished) {
  for (const char* part : {"HDF5-DIAG", "c10::Error", "Exception raised from", "terminate called", "what()",
                           "frame #", "at::", "std::", "stack trace", "*** Process received signal"}) {
    EXPECT_FALSE(contains(finished.err, part) || contains(finished.out, part))
        << "the output has '" << part << "':\n"
        << finished.out << finished.err;
  }
}

void expect_code(const Finished& finished, int code) {
  EXPECT_FALSE(finished.timed_out) << "it did not end by itself:\n" << finished.out << finished.err;
  EXPECT_EQ(finished.code, code) << finished.out << finished.err;
  EXPECT_EQ(finished.outlived, 0) << "processes were left running";
}

}  // namespace dwgf::test
