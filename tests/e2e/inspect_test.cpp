// evaluate, status, verify, doctor, and the log.
#include <cstring>
#include <fstream>
#include <map>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "finished_job.hpp"
#include "killing.hpp"
#include "refusals.hpp"
#include "store/results.hpp"

namespace dwgf::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kScores[] = {"measurement", "baseline", "linear_mmse", "mean", "particle"};

/// What a command prints, after checking that it succeeded.
std::string printed(const Arguments& arguments) {
  const Finished finished = run(0, arguments);
  expect_code(finished, 0);
  expect_readable(finished);
  return finished.out;
}

class Inspect : public FinishedJob {};

TEST_F(Inspect, EvaluatePrintsATableWithTheBaselinesBeside) {
  const std::string table = printed({"evaluate", results()});
  for (const char* word : {"PSNR", "SSIM", "measurement", "bicubic", "linear MMSE", "posterior mean",
                           "one particle", "3 of 3 images"}) {
    EXPECT_TRUE(contains(table, word)) << word << " is missing in:\n" << table;
  }
}

TEST_F(Inspect, WhatOnlyReadsNeedsNoMpi) {
  const auto without_mpi = [](const Arguments& arguments) {
    return start_command(Arguments{"env", "OMPI_MCA_pml=none-of-this-name", program()} + arguments)
        .wait(std::chrono::seconds(kPatience));
  };
  for (const char* command : {"status", "verify", "evaluate"})
    expect_code(without_mpi({command, results()}), 0);
  expect_code(without_mpi({"--version"}), 0);
  EXPECT_NE(without_mpi({"doctor"}).code, 0)
      << "MPI starts in spite of the setting that is to keep it from it";
}

TEST_F(Inspect, EvaluateAsJsonHasEveryScoreAndNullWhereNoneApplies) {
  const json whole = json::parse(printed({"evaluate", results(), "--json"}));
  std::vector<json> parts = {whole.at("summary")};
  ASSERT_EQ(whole.at("images").size(), 3u);
  for (const json& image : whole.at("images")) {
    EXPECT_TRUE(image.at("id").is_number_unsigned());
    EXPECT_TRUE(image.at("name").is_string());
    parts.push_back(image);
  }
  for (const json& part : parts) {
    for (const char* metric : {"psnr", "ssim"}) {
      EXPECT_EQ(part.at(metric).size(), std::size(kScores)) << part;
      for (const char* score : kScores) {
        // The measurement has another shape than the truth, and this prior comes without image statistics.
        const bool applies = std::strcmp(score, "measurement") != 0 && std::strcmp(score, "linear_mmse") != 0;
        EXPECT_EQ(part.at(metric).at(score).is_number(), applies) << metric << " " << score;
        EXPECT_EQ(part.at(metric).at(score).is_null(), !applies) << metric << " " << score;
      }
    }
  }
  EXPECT_EQ(whole.at("images")[1].at("name"), "b c.png");
}

TEST_F(Inspect, EvaluateScoresAMeasurementOfTheImagesShapeAndTheLinearEstimate) {
  const fs::path out = folder / "inpainting.h5";
  fs::remove(out);
  expect_code(run(2, {"restore", "--input.data", fs::path(DWGF_SOURCE_DIR) / "jobs/data/fashion",
                      "--input.count", "2", "--problem.operator", "box:10,10,12,12", "--flow.preset", "fast",
                      "--flow.grid", "20", "--flow.steps", "1", "--store.out", out}),
              0);
  const json scores = json::parse(printed({"evaluate", out, "--json"})).at("summary").at("psnr");
  for (const char* score : kScores) {
    EXPECT_EQ(scores.at(score).is_number(), std::strcmp(score, "particle") != 0)
        << score;  // none were stored
  }
}

TEST_F(Inspect, StatusCountsTheImages) {
  EXPECT_TRUE(contains(printed({"status", results()}), "3 images: 3 done, 0 failed, 0 left"));
  const json counts = json::parse(printed({"status", results(), "--json"}));
  EXPECT_EQ(counts.at("images"), 3);
  EXPECT_EQ(counts.at("done"), 3);
  EXPECT_EQ(counts.at("failed"), 0);
  EXPECT_EQ(counts.at("left"), 0);
  EXPECT_EQ(counts.at("running"), false);
  EXPECT_TRUE(counts.at("slowest").is_null());
}

TEST_F(Inspect, StatusWorksWhileTheJobRunsAndVerifyNamesWhatIsMissingAfterAKill) {
  const fs::path images = make_array(folder / "images.npy", 60), out = folder / "running.h5";
  fs::remove(out);
  Process process = start(2, small_job(images, out, {"--flow.grid", "100", "--flow.steps", "40"}));
  ASSERT_TRUE(wait_for_images(process, out, 1));
  const json counts = json::parse(printed({"status", out, "--json"}));
  const std::string words = printed({"status", out});
  const bool was_running = process.running();
  std::mt19937 random(1);
  kill_victim(process, Victim::everything, random);
  process.wait(std::chrono::seconds(60));
  ASSERT_TRUE(was_running) << "the job ended before its status was asked for";
  EXPECT_GE(counts.at("done").get<int>(), 1);
  EXPECT_GE(counts.at("left").get<int>(), 1);
  EXPECT_EQ(counts.at("done").get<int>() + counts.at("left").get<int>(), 60);
  EXPECT_TRUE(counts.at("seconds_per_image").is_number());
  EXPECT_EQ(counts.at("running"), true);
  EXPECT_TRUE(contains(words, "a job is writing it")) << words;

  const json dead = json::parse(printed({"status", out, "--json"}));
  EXPECT_EQ(dead.at("running"), false);
  EXPECT_TRUE(dead.at("seconds_left").is_null());
  EXPECT_EQ(dead.at("done").get<int>() + dead.at("left").get<int>(), 60);
  EXPECT_TRUE(contains(printed({"status", out}), "no job is writing it"));

  const std::int64_t done = committed(out);
  const Finished verified = run(0, {"verify", out});
  expect_code(verified, 3);
  EXPECT_TRUE(contains(verified.out, "missing")) << verified.out;
  EXPECT_TRUE(contains(verified.out, std::to_string(done) + " right, 0 damaged, 0 failed, " +
                                         std::to_string(60 - done) + " missing"))
      << verified.out;
}

TEST_F(Inspect, VerifyFindsEverythingRight) {
  EXPECT_TRUE(contains(printed({"verify", results()}), "3 right, 0 damaged, 0 failed, 0 missing"));
}

TEST_F(Inspect, VerifyNamesTheImageOfWhichOneBitChanged) {
  for (const char* dataset : {"/posterior/mean", "/particles/z", "/measurement/y", "/diagnostics/misfit"}) {
    SCOPED_TRACE(dataset);
    const std::vector<std::byte> row = ResultsFile::open_for_reading(results()).read(dataset, 1);
    std::string content = read_text(results());
    const std::string wanted(reinterpret_cast<const char*>(row.data()), row.size());
    const std::size_t at = content.find(wanted);
    ASSERT_NE(at, std::string::npos);
    ASSERT_EQ(content.find(wanted, at + 1), std::string::npos)
        << "the row is not the only place with these bytes";
    content[at + row.size() / 2] ^= 1;
    write_text(folder / "flipped.h5", content);
    const Finished finished = run(0, {"verify", folder / "flipped.h5"});
    expect_code(finished, 65);
    EXPECT_TRUE(contains(finished.out, "damaged  1  b c.png")) << finished.out;
    EXPECT_TRUE(contains(finished.out, "2 right, 1 damaged, 0 failed, 0 missing")) << finished.out;
  }
}

TEST_F(Inspect, WhatNoResultsFileHasIsRefusedByEveryCommandThatShowsImages) {
  const std::string sound = read_text(results());
  const std::uint32_t sizes[3] = {32, 32, 32};
  const std::string heights(reinterpret_cast<const char*>(sizes), sizeof sizes), name("std\0", 4),
      key = "interaction";
  ASSERT_NE(sound.find(heights), std::string::npos);
  ASSERT_NE(sound.find(name), std::string::npos);
  ASSERT_NE(sound.find(key), std::string::npos);
  std::string too_large = sound, without_std = sound, damaged_job = sound;
  too_large[too_large.find(heights) + 6] = 1;  // 65,568 of the second image
  without_std[without_std.find(name)] = 'x';
  damaged_job[damaged_job.find(key)] = '\xFF';
  for (const auto& [content, word] : {std::pair(too_large, "65568"), std::pair(without_std, "/posterior/std"),
                                      std::pair(damaged_job, "\\xFFnteraction")}) {
    write_text(folder / "changed.h5", content);
    for (const Arguments& command :
         {Arguments{"evaluate", folder / "changed.h5"},
          Arguments{"report", folder / "changed.h5", "--to", folder / "changed.html"},
          Arguments{"export", folder / "changed.h5", "--to", folder / "changed"}}) {
      const Finished finished = run(0, command);
      expect_code(finished, 65);
      expect_readable(finished);
      EXPECT_TRUE(contains(finished.err, word) && contains(finished.err, "changed.h5")) << finished.err;
    }
  }
}

TEST_F(Inspect, OnSeveralRanksEverythingIsPrintedOnce) {
  for (const char* command : {"evaluate", "status", "verify"}) {
    const Finished finished = run(3, {command, results()});
    expect_code(finished, 0);
    EXPECT_EQ(finished.out, printed({command, results()}));
  }
}

TEST_F(Inspect, DoctorFindsASoundJobSoundAndLeavesNothing) {
  const fs::path place = new_folder("doctor");
  Arguments job = small_job(pictures(), place / "r.h5");
  job.front() = "doctor";
  const Finished sound = run(2, job);
  expect_code(sound, 0);
  expect_readable(sound);
  for (const char* part : {"started by", "2 ranks on 1 host", "processors", "devices", "clocks", "HDF5",
                           "MPI-IO", "3 images, all options fit together", "the results take"})
    EXPECT_TRUE(contains(sound.out, part)) << part << " is missing in:\n" << sound.out;
  EXPECT_FALSE(contains(sound.out, "PROBLEM")) << sound.out;
  EXPECT_TRUE(fs::is_empty(place));
}

TEST_F(Inspect, DoctorNamesEveryProblemWithWhatToDo) {
  const Finished finished =
      run(2, {"doctor", "--store.out", folder / "not there/r.h5", "--prior.path", folder / "no prior"});
  EXPECT_FALSE(finished.timed_out);
  EXPECT_EQ(finished.code, 66) << finished.out << finished.err;  // the first problem's
  expect_readable(finished);
  for (const char* part : {"PROBLEM  weights", "PROBLEM  directory", "-> "})
    EXPECT_TRUE(contains(finished.out, part)) << part << " is missing in:\n" << finished.out;
}

TEST_F(Inspect, TheLogHasTheEventsOfEveryRank) {
  const fs::path log = folder / "events.log", out = folder / "logged.h5";
  for (const fs::path& path : {log, out}) fs::remove(path);
  expect_code(run(2, small_job(pictures(), out, {"--log.file", log})), 0);
  std::map<std::string, int> events;
  std::ifstream in(log);
  for (std::string text; std::getline(in, text);) {
    const json line = json::parse(text);
    ++events[line.at("event")];
    EXPECT_LT(line.at("rank").get<int>(), 2);
    if (line.at("event") == "begins") {
      EXPECT_EQ(line.at("started_by"), "mpirun");
    }
  }
  EXPECT_EQ(events,
            (std::map<std::string, int>{{"begins", 2}, {"image begins", 3}, {"image done", 3}, {"ends", 2}}));
}

}  // namespace
}  // namespace dwgf::test
