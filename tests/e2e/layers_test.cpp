// The check of who includes whom finds what it is there to find.
#include <gtest/gtest.h>

#include "workplace.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = DWGF_SOURCE_DIR;

class Layers : public testing::Test {
 protected:
  fs::path tree = new_folder("tree");

  void SetUp() override {
    for (const char* part : {"include", "src"})
      fs::copy(kSource / part, tree / part, fs::copy_options::recursive);
  }
  Finished check() const {
    return start_command({"python3", kSource / "tools/check_layers.py", tree}).wait(std::chrono::seconds(30));
  }
  void plant(const fs::path& file, const std::string& line) const {
    write_text(tree / file, line + "\n" + read_text(tree / file));
  }
};

TEST_F(Layers, OfTheSourceAreKept) {
  expect_code(check(), 0);
}

TEST_F(Layers, APlantedViolationIsNamedWithFileAndLine) {
  const struct {
    const char *file, *line, *reason;
  } cases[] = {
      {"src/data/png.cpp", "#include <dwgf/flow/solve.hpp>", "'data' must not include 'flow'"},
      {"src/flow/solve.cpp", "#include \"../job/restore.hpp\"", "'flow' must not include 'job'"},
      {"src/flow/terms/data_term.cpp", "#include \"../../job/restore.hpp\"", "'flow' must not include 'job'"},
      {"src/job/restore.cpp", "#include \"app/inspect.hpp\"", "'job' must not include 'app'"},
      {"include/dwgf/base/text.hpp", "#include <dwgf/comm/mpi.hpp>", "'base' must not include 'comm'"},
      {"include/dwgf/flow/solve.hpp", "#include \"flow/known_methods.hpp\"", "not installed"},
      {"src/store/results.cpp", "#include \"comm/detail/mpi_check.hpp\"", "private to 'comm'"},
      {"src/flow/methods/adam.cpp", "#include <mpi.h>", "comm, hdf5, store"},
      {"src/comm/grid.cpp", "#include <ATen/ATen.h>", "flow, job, metric"},
      {"src/prior/models/unet.cpp", "const char* planted = std::getenv(\"HOME\");", "service"}};
  for (const auto& planted : cases) {
    SCOPED_TRACE(planted.line);
    const std::string before = read_text(tree / planted.file);
    plant(planted.file, planted.line);
    const Finished finished = check();
    expect_code(finished, 1);
    EXPECT_TRUE(finished.out.starts_with(std::string(planted.file) + ":1: ")) << finished.out;
    EXPECT_TRUE(contains(finished.out, planted.reason)) << finished.out;
    write_text(tree / planted.file, before);
  }
  expect_code(check(), 0);
}

TEST_F(Layers, AnEmptyTreeIsNotAPassedCheck) {
  tree = new_folder("empty");
  expect_code(check(), 1);
}

}  // namespace
}  // namespace dwgf::test
