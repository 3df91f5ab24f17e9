#include "input/settings.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "input/derived_jobs.hpp"

namespace dwgf {
namespace {

const CommandSpec& restore() {
  return *find_command("restore");
}

Settings parse(const std::vector<std::string>& arguments) {
  return parse_settings(restore(), arguments);
}

JobInput job_of(const std::vector<std::string>& arguments) {
  return parse(arguments).as<JobInput>();
}

FlowOptions flow_of(const std::vector<std::string>& arguments) {
  return job_of(arguments).method.options;
}

/// A file of this text, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() / (std::to_string(::getpid()) + ".ini")) {
    std::ofstream(path_) << text;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::string error_of(const std::vector<std::string>& arguments) {
  try {
    parse(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Settings, DefaultsAreThePublishedScheme) {
  const FlowOptions flow = flow_of({});
  EXPECT_EQ(flow.particles, 4);
  EXPECT_EQ(flow.grid, 999);
  EXPECT_EQ(flow.weight, 0.15);
  EXPECT_EQ(flow.data.encode, EncodeMode::sample);
  EXPECT_FALSE(parse({}).given("flow.grid"));
}

TEST(Settings, TheCommandLineBeatsFilesAndLaterFilesBeatEarlierOnesAndAllBeatThePreset) {
  const TemporaryFile file(
      "# a comment\n[flow]\ngrid = 40\nlr = 0.5\n[problem]\noperator = blur:5,1.2 | mean:2\n");
  const Settings settings = parse({"--flow.lr", "0.25", "--config", file.path(), "--flow.preset=fast"});
  const auto& job = settings.as<JobInput>();
  EXPECT_EQ(job.method.options.grid, 40);
  EXPECT_EQ(job.method.options.rate, 0.25);
  EXPECT_EQ(job.problem.forward, "blur:5,1.2 | mean:2");
  EXPECT_EQ(job.method.options.data.encode, EncodeMode::mean);
}

TEST(Settings, AMethodBringsItsPublishedValuesAndKeysOverrideThem) {
  const FlowOptions dps = flow_of({"--flow.method", "latent-dps", "--flow.preset", "fast"});
  EXPECT_EQ(dps.guidance.eta, 1.0);
  EXPECT_EQ(dps.guidance.weight, 0.3);
  EXPECT_EQ(dps.grid, 60);
  EXPECT_EQ(flow_of({"--flow.method", "latent-dps", "--flow.eta", "0.5"}).guidance.eta, 0.5);
  EXPECT_EQ(flow_of({"--flow.method", "rlsd", "--flow.preset", "fast"}).weight, 0.1);
  EXPECT_EQ(flow_of({"--flow.preset", "fast"}).weight, 0.05);
}

TEST(Settings, IntegratorIsAnotherSpellingOfTheMethod) {
  using Arguments = std::vector<std::string>;
  const Settings gibbs = parse({"--flow.method", "gibbs"});
  const TemporaryFile stored(gibbs.ini());
  const TemporaryFile other("[flow]\npreset = bayes\nmethod = dwgf\nobjective = bayes\nintegrator = gibbs\n");
  for (const Arguments& same : {Arguments{"--flow.preset", "bayes"}, Arguments{"--flow.integrator", "gibbs"},
                                Arguments{"--config", stored.path()}, Arguments{"--config", other.path()}}) {
    EXPECT_EQ(parse(same).differences(gibbs), Arguments{}) << same.back();
    EXPECT_EQ(flow_of(same).method, Method::gibbs) << same.back();
    EXPECT_EQ(flow_of(same).data.objective, Objective::bayes) << same.back();
  }
  EXPECT_EQ(parse_job_text("[flow]\nmethod = dwgf\nintegrator = affine\n").text("flow.method"), "affine");
  EXPECT_EQ(parse({"--flow.integrator", "affine"}).differences(parse({"--flow.method", "affine"})),
            Arguments{});
  // The last one wins; a preset's method is the last of all.
  EXPECT_EQ(flow_of({"--config", other.path(), "--flow.integrator", "affine"}).method, Method::affine);
  EXPECT_EQ(flow_of({"--flow.preset", "bayes", "--flow.integrator", "adam"}).method, Method::dwgf);
  EXPECT_EQ(flow_of({"--flow.preset", "bayes", "--flow.method", "rlsd"}).method, Method::rlsd);
  EXPECT_NE(error_of({"--flow.integrator", "gibbs", "--flow.method", "rlsd"}), "no error");
}

TEST(Settings, CheckpointsOfAnIntegratorsOtherSpellingAreItsOwn) {
  const std::string identity = parse({"--flow.method", "gibbs"}).identity();
  EXPECT_NE(identity.find("flow.method = dwgf\nflow.objective = bayes\nflow.integrator = gibbs\n"),
            std::string::npos)
      << identity;
}

TEST(Settings, KeysThatAMethodHasNoUseForAreRefused) {
  const std::string error = error_of({"--flow.method", "psld", "--flow.weight", "0.5"});
  for (const char* part : {"command line", "flow.weight", "0.5", "psld"})
    EXPECT_NE(error.find(part), std::string::npos) << error;
  for (const std::vector<std::string>& refused : {std::vector<std::string>{"--flow.eta", "0.5"},
                                                  {"--flow.method", "rlsd", "--flow.consistency", "0.2"},
                                                  {"--flow.method", "latent-dps", "--flow.gluing", "1"},
                                                  {"--flow.method", "psld", "--flow.stop", "stall:0.1"}}) {
    EXPECT_NE(error_of(refused), "no error") << refused.back();
  }
  // A job that names every key runs again.
  for (const char* method : {"dwgf", "affine", "gibbs", "rlsd", "psld", "latent-dps", "latino"}) {
    const TemporaryFile job(parse({"--flow.method", method, "--flow.preset", "fast"}).ini());
    EXPECT_EQ(error_of({"--config", job.path()}), "no error") << method;
  }
}

TEST(Settings, ErrorsNameTheKeyThePlaceTheValueAndWhatIsAllowed) {
  EXPECT_NE(error_of({"--flow.partciles", "4"}).find("flow.particles"), std::string::npos);
  const std::string range = error_of({"--flow.grid", "1000"});
  for (const char* part : {"command line", "flow.grid", "1000", "2 ... 999"})
    EXPECT_NE(range.find(part), std::string::npos) << range;
  EXPECT_NE(error_of({"--flow.interaction", "gausian"}).find("gaussian"), std::string::npos);
  EXPECT_NE(error_of({"--problem.sigma", "nan"}).find("not a number"), std::string::npos);
  EXPECT_NE(error_of({"--flow.particles=-1"}).find("flow.particles"), std::string::npos);
  EXPECT_NE(error_of({"--flow.particles"}).find("flow.particles"), std::string::npos);
  EXPECT_NE(error_of({"first.h5", "surplus"}).find("surplus"), std::string::npos);

  const TemporaryFile file("[prior] # weihgt\n\n[flow]\nsteps = 5 # weihgt = 1\n\n  weihgt = 2\n");
  const std::string unknown = error_of({"--config", file.path()});
  for (const char* part : {"line 6", "flow.weihgt", "flow.weight"})
    EXPECT_NE(unknown.find(part), std::string::npos) << unknown;
  EXPECT_THROW(parse({"--config", "no/such/file.ini"}), NotFoundError);
}

TEST(Settings, AKeyWithoutItsSectionNamesTheSection) {
  const TemporaryFile bare("steps = 3\n"), elsewhere("[run]\nsteps = 3\n");
  for (const TemporaryFile* file : {&bare, &elsewhere}) {
    const std::string error = error_of({"--config", file->path()});
    EXPECT_NE(error.find("did you mean 'flow.steps'? put it below [flow]"), std::string::npos) << error;
  }
  const std::string line = error_of({"--steps", "3"});
  EXPECT_NE(line.find("did you mean '--flow.steps'?"), std::string::npos) << line;
}

TEST(Settings, TheLaterOfTwoOptionsCountsAndThatIsSaid) {
  const Settings twice = parse_settings(*find_command("restore"), {"--flow.steps", "1", "--flow.steps", "2"});
  EXPECT_EQ(twice.as<JobInput>().method.options.steps, 2);
  ASSERT_EQ(twice.notes.size(), 1u);
  for (const char* part : {"--flow.steps", "twice", "'1'", "'2'"})
    EXPECT_NE(twice.notes.front().find(part), std::string::npos) << twice.notes.front();
  EXPECT_TRUE(
      parse_settings(*find_command("restore"), {"--flow.steps", "2", "--flow.steps", "2"}).notes.empty());
  const TemporaryFile file("[flow]\nsteps = 5\n");
  EXPECT_EQ(flow_of({"--config", file.path(), "--flow.steps", "6"}).steps, 6);
}

TEST(Settings, AValueMayBeEmpty) {
  const TemporaryFile file("[prior]\nprompt = a boot\n");
  EXPECT_EQ(job_of({"--config", file.path()}).prior.prompt, "a boot");
  for (const std::vector<std::string>& emptied :
       {std::vector<std::string>{"--prior.prompt="}, {"--prior.prompt", ""}}) {
    std::vector<std::string> arguments = {"--config", file.path()};
    arguments.insert(arguments.end(), emptied.begin(), emptied.end());
    EXPECT_EQ(job_of(arguments).prior.prompt, "");
  }
  EXPECT_NE(error_of({"--flow.particles="}).find("flow.particles"), std::string::npos);
  EXPECT_NE(error_of({"--prior.promt="}).find("prior.prompt"), std::string::npos);
  EXPECT_NE(error_of({"--dry-run="}), "no error");
}

TEST(Settings, WordsThatStandForNumbersAreNoNumbers) {
  EXPECT_TRUE(job_of({"--problem.sigma", "estimate"}).problem.estimates_sigma());
  EXPECT_EQ(std::get<double>(job_of({"--problem.sigma", "0.25"}).problem.sigma), 0.25);
  EXPECT_EQ(job_of({"--store.shards", "auto"}).store.shards, std::nullopt);
  EXPECT_EQ(job_of({"--store.shards", "7"}).store.shards, 7);
  EXPECT_EQ(job_of({}).image, std::nullopt);
  EXPECT_EQ(job_of({"--image", "0"}).image, 0);
  EXPECT_EQ(flow_of({"--flow.stop", "stall:0.01"}).stall, 0.01);
  EXPECT_EQ(job_of({"--store.quantiles", "0.1, 0.5,0.9"}).store.quantiles, (std::vector{0.1, 0.5, 0.9}));
  EXPECT_TRUE(job_of({"--store.quantiles", "none"}).store.quantiles.empty());
  for (const auto& [key, value] : {std::pair{"--flow.stop", "stall:1"},
                                   {"--flow.stop", "stall:x"},
                                   {"--flow.stop", "never"},
                                   {"--store.quantiles", "0.5,0.1"},
                                   {"--store.quantiles", "0,1"},
                                   {"--store.shards", "some"}}) {
    EXPECT_NE(error_of({key, value}).find("allowed"), std::string::npos) << value;
  }
}

TEST(Settings, RefusesWhatIsNotIni) {
  for (const char* text : {"steps 5", "[flow\nsteps=5", "[flow]\nsteps = 5\nsteps = 6\n",
                           "\x7f"
                           "ELF\n"}) {
    const TemporaryFile file(text);
    EXPECT_NE(error_of({"--config", file.path()}), "no error") << text;
  }
}

TEST(Settings, TheIniTextGivesTheSameSettingsAgain) {
  const Settings settings = parse(
      {"--flow.seed", "18446744073709551615", "--problem.operator", "box:1,2,3,4", "--flow.preset", "fast"});
  const Settings again = parse_job_text(settings.ini());
  EXPECT_EQ(again.ini(), settings.ini());
  EXPECT_TRUE(settings.differences(again).empty());
  EXPECT_EQ(again.as<JobInput>().method.options.seed, 18446744073709551615ULL);
}

TEST(Settings, JobsOfEarlierVersionsMayNameWhatNothingReadsAnyMore) {
  std::string earlier = parse({}).ini();
  earlier.replace(earlier.find("[run]\n"), 6, "[run]\nstage_weights = /dev/shm\n");
  EXPECT_EQ(parse_job_text(earlier).ini(), parse({}).ini());
}

TEST(Settings, LayoutIsNotPartOfTheIdentity) {
  const Settings a = parse({"--run.ranks_per_image", "1", "--store.out", "a.h5"});
  const Settings b = parse({"--run.ranks_per_image", "4", "--store.out", "b.h5"});
  EXPECT_TRUE(a.differences(b).empty());
  const Settings c = parse({"--flow.seed", "1"});
  ASSERT_EQ(a.differences(c).size(), 1u);
  EXPECT_NE(a.differences(c).front().find("flow.seed"), std::string::npos);
}

TEST(Settings, HelpNamesEveryKeyWithItsDefaultAndRange) {
  for (const CommandSpec& command : command_table()) {
    const std::string help = help_text(command);
    for (const OptionSpec& option : command.options) {
      EXPECT_NE(help.find("--" + option.key), std::string::npos);
      EXPECT_NE(help.find(option.default_value), std::string::npos);
    }
    EXPECT_NE(help_text().find(command.name), std::string::npos);
  }
}

TEST(Settings, EveryJobOfTheRepositoryIsOne) {
  int jobs = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(DWGF_SOURCE_DIR "/jobs")) {
    if (file.path().extension() != ".ini") continue;
    ++jobs;
    EXPECT_NO_THROW(parse({"--config", file.path()})) << file.path();
  }
  EXPECT_GE(jobs, 4);
}

TEST(Settings, ThePublishedStudiesAreThePaperPreset) {
  for (const std::string name : {"box-inpainting", "super-resolution-x8"}) {
    const Settings job = parse({"--config", DWGF_SOURCE_DIR "/jobs/paper/" + name + ".ini"});
    for (const OptionSpec& option : restore().options) {
      if (option.key.starts_with("flow.") && option.kind != OptionKind::flag) {
        EXPECT_EQ(job.text(option.key), parse({}).text(option.key)) << option.key;
      }
    }
  }
}

TEST(Settings, EveryDefaultAndPresetIsAllowed) {
  for (const CommandSpec& command : command_table()) {
    Settings settings(command);
    for (const OptionSpec& option : command.options) {
      if (option.kind == OptionKind::flag) continue;
      EXPECT_NO_THROW(settings.set(option.key, option.default_value, "default")) << option.key;
    }
  }
  for (const char* preset : {"paper", "fast", "bayes"}) {
    Settings settings(restore());
    for (const auto& [key, value] : preset_values(preset))
      EXPECT_NO_THROW(settings.set(key, value, "preset"));
  }
}

/// What the defaults say as text is what the fields hold.
TEST(Settings, DefaultsAreTheFieldsOwn) {
  Settings settings(restore());
  for (const OptionSpec& option : restore().options)
    if (option.kind != OptionKind::flag) settings.set(option.key, option.default_value, "default");
  const auto& text = settings.as<JobInput>();
  const JobInput own;
  EXPECT_EQ(text.problem.given_sigma(), own.problem.given_sigma());
  EXPECT_EQ(text.store.shards, own.store.shards);
  EXPECT_EQ(text.store.quantiles, own.store.quantiles);
  EXPECT_EQ(text.method.options.interaction.repulsion, own.method.options.interaction.repulsion);
  EXPECT_EQ(text.method.options.rate, own.method.options.rate);
  EXPECT_EQ(text.method.options.stall, own.method.options.stall);
}

/// What a rerun and a measurements file make of a job.
TEST(DerivedJobs, TakeWhatDecidesNothing) {
  const Settings stored = parse({"--flow.seed", "7", "--input.first", "2"});
  const Settings again = rerun_of("a.h5", stored, parse({"--rerun", "a.h5", "--run.watchdog_minutes", "5"}));
  EXPECT_EQ(again.as<JobInput>().store.out, "a.h5.rerun.h5");
  EXPECT_EQ(again.as<JobInput>().layout.watchdog_minutes, 5);
  EXPECT_EQ(again.as<JobInput>().method.options.seed, 7u);
  EXPECT_THROW(rerun_of("a.h5", stored, parse({"--flow.seed", "7"})), UsageError);
  EXPECT_THROW(rerun_of("a.h5", stored, parse({"--input.first", "2"})), UsageError);
  EXPECT_EQ(slice_of(stored, 3, 4).as<JobInput>().images.count, 4);
}

TEST(DerivedJobs, SayWhatAMeasurementsFileSays) {
  const MeasuredWith file{"y.h5", "mean:4", "gaussian", 0.1};
  Settings job = parse({});
  take_measured(job, file);
  EXPECT_EQ(job.as<JobInput>().problem.forward, "mean:4");
  EXPECT_EQ(job.text("problem.sigma"), "0.1");
  Settings sigma = parse({"--problem.sigma", "0.2"});
  take_measured(sigma, file);
  EXPECT_EQ(sigma.text("problem.sigma"), "0.2");
  Settings other = parse({"--problem.operator", "mean:2"});
  EXPECT_THROW(take_measured(other, file), UsageError);
  Settings none = parse({});
  EXPECT_THROW(take_measured(none, {"y.h5", std::nullopt, std::nullopt, 0.1}), UsageError);
  EXPECT_THROW(take_measured(none, {"y.h5", "mean:4", std::nullopt, std::nullopt}), UsageError);
}

}  // namespace
}  // namespace dwgf
