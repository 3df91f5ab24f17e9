// Commands, options and configuration files with mistakes: exit code 64, or 66 where a named file is not
// there.
#include <gtest/gtest.h>

#include "refusals.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;

class BadOptions : public testing::Test {
 protected:
  fs::path folder = new_folder("options");
  fs::path images = make_array(folder / "images.npy", 1);

  Arguments with(const Arguments& more) const { return small_job(images, folder / "never.h5", more); }
  Arguments ini(const std::string& name, const std::string& text) const {
    write_text(folder / name, text);
    return with({"--config", (folder / name).string()});
  }
  void TearDown() override {
    EXPECT_FALSE(fs::exists(folder / "never.h5")) << "a refused job left a results file";
  }
};

TEST_F(BadOptions, OnTheCommandLineAreNamedWithWhatIsAllowed) {
  expect_refusals({
      {"unknown key",
       with({"--flow.stepz", "3"}),
       64,
       {"command line", "'flow.stepz'", "nearest", "'flow.steps'"}},
      {"unknown key like nothing", with({"--qqqqqqqq", "3"}), 64, {"command line", "'qqqqqqqq'", "--help"}},
      {"not a number",
       with({"--flow.particles", "many"}),
       64,
       {"command line", "flow.particles", "'many'", "1 ... 65536"}},
      {"a unit", with({"--problem.sigma", "0.1px"}), 64, {"problem.sigma", "'0.1px'", "0 ... 10"}},
      {"negative",
       with({"--problem.sigma", "-1"}),
       64,
       {"problem.sigma", "'-1'", "out of range", "0 ... 10"}},
      {"not finite", with({"--flow.lr", "nan"}), 64, {"flow.lr", "'nan'", "not a number"}},
      {"too large", with({"--flow.grid", "1000"}), 64, {"flow.grid", "'1000'", "2 ... 999"}},
      {"unknown choice",
       with({"--flow.interaction", "mixtur"}),
       64,
       {"flow.interaction", "'mixtur'", "did you mean 'mixture'"}},
      {"no value", with({"--flow.seed"}), 64, {"command line", "flow.seed", "--help"}},
  });
}

TEST_F(BadOptions, InAFileAreNamedWithFileAndLine) {
  expect_refusals({
      {"unknown key",
       ini("a.ini", "# a job\n[flow]\nseed = 1\npartikles = 4\n"),
       64,
       {"a.ini, line 4", "'flow.partikles'", "'flow.particles'"}},
      {"unknown section",
       ini("b.ini", "[flwo]\nseed = 1\n"),
       64,
       {"b.ini, line 2", "'flwo.seed'", "'flow.seed'"}},
      {"out of range",
       ini("c.ini", "\n[flow]\n\ngrid = 0\n"),
       64,
       {"c.ini, line 4", "flow.grid", "'0'", "2 ... 999"}},
      {"not INI", ini("d.ini", "[flow]\nthis is no assignment\n"), 64, {"d.ini", "key = value"}},
      {"set twice", ini("e.ini", "[flow]\nseed = 1\nseed = 2\n"), 64, {"e.ini", "'flow.seed'", "twice"}},
      {"not there", with({"--config", (folder / "absent.ini").string()}), 66, {"--config", "absent.ini"}},
      {"a folder", with({"--config", folder.string()}), 66, {"--config", folder.string()}},
  });
}

TEST_F(BadOptions, WhatIsMissingOrContradictsIsSaid) {
  expect_refusals({
      {"no images",
       {"restore", "--store.out", (folder / "never.h5").string()},
       64,
       {"input.data", "folder", ".npy"}},
      {"no results file", {"restore", "--input.data", images.string()}, 64, {"store.out"}},
      {"slice behind the end", with({"--input.first", "7"}), 64, {"input.first", "7", "has 1"}},
      {"prompt without text encoder",
       with({"--prior.prompt", "a boot"}),
       64,
       {"prior.prompt", "prior.context"}},
      {"unknown command", {"restor"}, 64, {"'restor'", "'restore'", "--help"}},
      {"no results", {"evaluate"}, 64, {"1 file name", "usage"}},
      {"two results", {"status", "a.h5", "b.h5"}, 64, {"1 file name", "usage"}},
  });
}

TEST_F(BadOptions, NonsenseOperatorsAreNamedWithTheirUsage) {
  const auto job = [&](const std::string& spec) { return with({"--problem.operator", spec}); };
  expect_refusals({
      {"unknown", job("wobble:3"), 64, {"problem.operator", "'wobble'", "known are", "mean"}},
      {"nearly known", job("mean:4 | blurr:3,1"), 64, {"problem.operator", "'blurr'", "'blur'"}},
      {"argument missing", job("mean"), 64, {"problem.operator", "'mean'", "`mean:r`"}},
      {"argument too many", job("mean:2,2"), 64, {"problem.operator", "'mean:2,2'"}},
      {"not a number", job("mean:x"), 64, {"problem.operator", "'x'", "`mean:r`"}},
      {"does not divide", job("mean:5"), 64, {"problem.operator", "mean:5", "32", "divisor"}},
      {"outside of the image", job("box:30,30,10,10"), 64, {"problem.operator", "box:30,30,10,10", "32"}},
      {"all missing", job("random:1.5"), 64, {"problem.operator", "random:1.5"}},
      {"empty", job(""), 64, {"problem.operator", "known are"}},
      {"nothing behind the bar", job("mean:4 |"), 64, {"problem.operator"}},
  });
}

}  // namespace
}  // namespace dwgf::test
