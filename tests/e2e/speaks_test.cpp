// What used to pass without a word, or with one that helped nobody: the commands of a first day.
#include <sstream>

#include <gtest/gtest.h>

#include "data/npy.hpp"
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

// From another folder than the program's; before Slurm is asked for anything.
TEST_F(Speaks, OfAJobThatWouldNotFindItsProgram) {
  const Finished finished = start_command({"bash", DWGF_SOURCE_DIR "/slurm/submit", "restore", "--",
                                           "--store.out", shared / "slurm.h5"})
                                .wait(std::chrono::seconds(kPatience));
  expect_code(finished, 66);
  for (const char* part : {"submit: there is no build/dwgf in ", "dwgf_program"})
    EXPECT_TRUE(contains(finished.err, part)) << finished.err;
}

TEST_F(Speaks, OfPriorsThatAreAFileOrAPart) {
  write_text(shared / "model.ckpt", "PK");
  const auto with = [&](const fs::path& prior) {
    return run(0, small_job(shared / "images.npy", shared / "x.h5", {"--prior.path", prior}));
  };
  expect_refused(with(shared / "model.ckpt"), 65, {"prior.path", "model.ckpt", "from_single_file"});
  expect_refused(with(small_prior() / "unet"), 64, {"prior.path", "part of a model", "folder above"});
}

/// The built-in prior, which is of small grey pictures, in few steps.
Arguments fashion(const fs::path& data, const fs::path& out, const Arguments& more = {}) {
  return Arguments{"restore", "--input.data", data, "--store.out",  out, "--flow.preset",
                   "fast",    "--flow.grid",  "60", "--flow.steps", "2", "--problem.operator",
                   "mean:4"} +
         more;
}

/// The same options for a command that only looks.
Arguments looked_at(Arguments job) {
  job[0] = "doctor";
  return job;
}

TEST_F(Speaks, OfColoursThatAreLostAndOfPicturesThatAreTakenAsClean) {
  const fs::path folder = new_folder("photos");
  for (unsigned k = 0; k < 3; ++k) make_picture(folder / (std::to_string(k) + ".png"), k);
  const std::string lost =
      "3 colour pictures become grey: builtin:fashion knows grey clothes of 28 x 28 only";
  for (const Arguments& more : {Arguments{}, Arguments{"--dry-run"}}) {
    const Finished finished = run(0, fashion(folder, shared / "photos.h5", more));
    expect_code(finished, 0);
    EXPECT_TRUE(contains(finished.err, lost + "; for photographs prior.path = builtin:photo"))
        << finished.err;
    if (more.empty()) {
      EXPECT_TRUE(
          contains(finished.err, "clean pictures: each is measured with mean:4 and given noise of 0.05"))
          << finished.err;
    }
  }
  for (const char* data : {"1.png", "[12].png"}) {  // one picture, and a pattern
    const Finished some = run(0, fashion(folder / data, shared / "some.h5", {"--dry-run"}));
    EXPECT_TRUE(contains(some.err, data[0] == '1' ? "1 colour picture becomes" : "2 colour pictures become"))
        << some.err;
  }
  const Finished doctor = run(0, looked_at(fashion(folder, shared / "photos2.h5")));
  expect_code(doctor, 0);
  EXPECT_TRUE(contains(doctor.out, lost)) << doctor.out;
}

TEST_F(Speaks, OfEveryImageThatTheOperatorDoesNotTake) {
  const fs::path folder = new_folder("sizes");
  make_picture(folder / "fits.png", 1, 32, 32);
  make_picture(folder / "odd.png", 2, 30, 32);
  make_picture(folder / "odder.png", 3, 30, 32);
  const Finished doctor = run(0, looked_at(fashion(folder, shared / "sizes.h5")));
  expect_code(doctor, 3);
  const std::string refused = "2 of 3 images cannot be restored; the first is odd.png: ";
  EXPECT_TRUE(contains(doctor.out, refused) && contains(doctor.out, "bicubic:4")) << doctor.out;
  const Finished plan = run(0, fashion(folder, shared / "sizes.h5", {"--dry-run"}));
  expect_code(plan, 3);
  EXPECT_TRUE(contains(plan.err, refused)) << plan.err;
  const Finished restored = run(0, fashion(folder, shared / "sizes.h5"));
  expect_code(restored, 3);
  EXPECT_TRUE(contains(restored.err, refused)) << restored.err;
}

// 12 megapixels, of which the decoder's gradient would take many times what a host has.
TEST_F(Speaks, OfMemoryBeforeAnyWorkAndSoon) {
  const fs::path folder = new_folder("photo");
  make_picture(folder / "photo.png", 1, 3000, 4000);
  const fs::path out = shared / "photo.h5";
  const Arguments job = fashion(folder, out, {"--flow.particles", "64", "--flow.micro_batch", "64"});
  const Finished doctor = run(0, looked_at(job));
  expect_code(doctor, 64);
  for (const char* part :
       {"PROBLEM  memory", "smaller pictures", "flow.micro_batch", "run.check_memory = no"})
    EXPECT_TRUE(contains(doctor.out, part)) << doctor.out;
  for (const Arguments& more : {Arguments{}, Arguments{"--dry-run"}}) {
    const Finished finished = run(0, job + more);
    expect_code(finished, 64);
    EXPECT_TRUE(contains(finished.err, "is expected to take")) << finished.err;
    EXPECT_LT(finished.seconds, 60) << "about 2 s on a machine that does nothing else";
    EXPECT_FALSE(fs::exists(out));
  }
}

// One micro-batch of one sample of it would fit, and take minutes.
TEST_F(Speaks, OfWhatALargePictureCostsWithoutAWholeStepOfIt) {
  const fs::path folder = new_folder("large");
  make_picture(folder / "large.png", 1, 1024, 1024);
  const Finished plan =
      run(0, fashion(folder, shared / "large.h5", {"--flow.micro_batch", "1", "--dry-run"}));
  expect_code(plan, 0);
  EXPECT_TRUE(contains(plan.err, "measuring a step on 64 x 64 pixels, of 1024 x 1024")) << plan.err;
  EXPECT_TRUE(contains(plan.out, "extrapolated from")) << plan.out;
  EXPECT_TRUE(contains(plan.out, "to spend less")) << plan.out;
  EXPECT_TRUE(contains(plan.err, "32 times the side of the 32 x 32")) << plan.err;
}

TEST_F(Speaks, OfRanksWithoutWork) {
  const Finished finished = run(4, small_job(shared / "images.npy", shared / "idle.h5"));
  expect_code(finished, 0);
  EXPECT_TRUE(contains(finished.err, "2 of 4 groups of ranks have no image to work on")) << finished.err;
}

TEST_F(Speaks, OfGridsThatStartEarlyEnough) {
  const Finished finished =
      run(0, small_job(shared / "images.npy", shared / "g.h5", {"--flow.grid", "150", "--dry-run"}));
  expect_code(finished, 0);
  EXPECT_TRUE(contains(finished.err, "flow.grid = 150 starts at t = 895")) << finished.err;
  EXPECT_TRUE(contains(finished.err, "take flow.grid = ")) << finished.err;
}

TEST_F(Speaks, OfKernelsAndMasksThatAreNone) {
  const fs::path kernel = shared / "k.npy", mask = shared / "m.npy";
  write_npy(kernel.string(), {1, 3}, std::vector<float>{2, 3, 2});
  std::vector<float> half(32 * 32, 1.0f);
  half[5] = 0.5f;
  write_npy(mask.string(), {32, 32}, half);
  const auto said = [&](const std::string& spec) {
    const Finished finished =
        run(0, small_job(shared / "images.npy", shared / "a.h5", {"--problem.operator", spec, "--dry-run"}));
    expect_code(finished, 0);
    return finished.err;
  };
  EXPECT_TRUE(contains(said("kernel:" + kernel.string()), "sums to 7"));
  EXPECT_TRUE(contains(said("mask:" + mask.string()), "holds 0.5, between 0 and 1; it counts as observed"));
}

TEST_F(Speaks, OfWhereTheTimeWent) {
  const Finished status = run(0, {"status", shared / "r.h5"});
  expect_code(status, 0);
  for (const char* part : {"of which ", "denoiser ", "decoder ", " of the processors"})
    EXPECT_TRUE(contains(status.out, part)) << status.out;
  const Finished json = run(0, {"status", shared / "r.h5", "--json"});
  for (const char* part : {"\"denoiser\"", "\"vjp\"", "\"operator\"", "\"other\"", "\"processors\""})
    EXPECT_TRUE(contains(json.out, part)) << json.out;
  expect_code(run(0, {"report", shared / "r.h5", "--to", shared / "r.html"}), 0);
  EXPECT_TRUE(contains(read_text(shared / "r.html"), "Where the time of an image went"));
}

// What a first user starts must raise nothing.
TEST_F(Speaks, NotOfTheJobsThatComeWithIt) {
  int jobs = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(DWGF_SOURCE_DIR "/jobs")) {
    if (file.path().extension() != ".ini") continue;
    ++jobs;
    // Their data are named from the folder above.
    const Finished finished =
        start_command({"bash", "-c", "cd '" DWGF_SOURCE_DIR "' && exec \"$@\"", "job", program(), "restore",
                       "--config", file.path(), "--store.out", shared / "job.h5", "--dry-run"})
            .wait(std::chrono::seconds(kPatience));
    expect_code(finished, 0);
    // That a step of a photograph is measured on smaller ones first is progress.
    std::istringstream lines(finished.err);
    for (std::string line; std::getline(lines, line);)
      EXPECT_TRUE(contains(line, "measuring a step on")) << file.path() << ": " << line;
  }
  EXPECT_GE(jobs, 15);
}

TEST_F(Speaks, OfAnOperatorThatTakesAnySize) {
  expect_refused(run(0, small_job(make_array(shared / "odd.npy", 1, 1, 30), shared / "x.h5")), 64,
                 {"mean:4", "or take bicubic:4, which takes any size"});
}

}  // namespace
}  // namespace dwgf::test
