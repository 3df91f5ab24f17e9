// What used to pass without a word, or with one that helped nobody: the commands of a first day.
#include <gtest/gtest.h>

#include "refusals.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class Speaks : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared = new_folder("speaks");
    expect_code(run(0, small_job(make_array(shared / "images.npy", 2), shared / "r.h5")), 0);
  }
  inline static fs::path shared;
};

/// How often a part stands in a text.
int times(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_F(Speaks, OfAFileThatIsMergedWithItself) {
  const fs::path one = shared / "r.h5", link = shared / "link.h5";
  fs::create_symlink(one, link);
  expect_refused(run(0, {"merge", one, one, "--to", shared / "m.h5"}), 64, {"r.h5", "named twice"});
  expect_refused(run(0, {"merge", one, link, "--to", shared / "m.h5"}), 64, {"link.h5", "named twice"});
  EXPECT_FALSE(fs::exists(shared / "m.h5"));
}

TEST_F(Speaks, OnceOfAnExportWithoutAFolder) {
  const Finished finished = run(0, {"export", shared / "r.h5"});
  expect_refused(finished, 64, {"--to DIR is missing"});
  EXPECT_EQ(times(finished.err, "dwgf export:"), 1) << finished.err;
}

TEST_F(Speaks, OfPriorsThatAreAFileOrAPart) {
  write_text(shared / "model.ckpt", "PK");
  const auto with = [&](const fs::path& prior) {
    return run(0, small_job(shared / "images.npy", shared / "x.h5", {"--prior.path", prior}));
  };
  expect_refused(with(shared / "model.ckpt"), 65, {"prior.path", "model.ckpt", "from_single_file"});
  expect_refused(with(small_prior() / "unet"), 64, {"prior.path", "part of a model", "folder above"});
}

TEST_F(Speaks, OfAnOperatorThatTakesAnySize) {
  expect_refused(run(0, small_job(make_array(shared / "odd.npy", 1, 1, 30), shared / "x.h5")), 64,
                 {"mean:4", "or take bicubic:4, which takes any size"});
}

}  // namespace
}  // namespace dwgf::test
