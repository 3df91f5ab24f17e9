#include "job/doctor.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <system_error>

#include <sys/statvfs.h>
#include <unistd.h>

#include <dwgf/base/text.hpp>
#include <dwgf/comm/grid.hpp>

#include "comm/device.hpp"
#include "comm/throw_on_all.hpp"
#include "job/ahead/rank_facts.hpp"
#include "job/build.hpp"
#include "job/diagnosis.hpp"
#include "job/dry_run.hpp"
#include "job/look_ahead.hpp"
#include "job/restore_job.hpp"
#include "service/heartbeat.hpp"
#include "service/launcher.hpp"
#include "store/io_self_test.hpp"

namespace dwgf {

namespace {

namespace fs = std::filesystem;

/// The finding of a check that all ranks take part in: fine, or the error that any of them had.
Finding shared(Communicator& world, const std::string& topic, const std::string& fine,
               const std::string& advice, const std::function<void()>& check) {
  try {
    throw_on_all(world, check);
    return Finding::fine(topic, fine);
  } catch (const Error& error) {
    return Finding::problem(topic, first_line(error.what()), advice, error.code());
  }
}

fs::path output_directory(const JobInput& job) {
  const fs::path directory = fs::path(job.store.out).parent_path();
  return directory.empty() ? fs::path(".") : directory;
}

/// A file that the first rank makes has to be there for all, and all have to be able to write.
Finding check_directory(Communicator& world, const fs::path& directory) {
  const fs::path token =
      directory / world.broadcast_text(formatted(".dwgf-doctor-{}-{}", host_name(), getpid()), 0);
  const Finding finding = shared(
      world, "directory", formatted("{} is one and the same for all ranks, and writable", directory.string()),
      "results go to a file system that all hosts share and may write to; set store.out", [&] {
        run_on_root(world, [&] {
          if (!std::ofstream(token)) {
            throw IoError("{} cannot be written on host {}: {}", directory.string(), host_name(),
                          std::generic_category().message(errno));
          }
        });
        if (!fs::exists(token))
          throw IoError("{} is another directory on host {} than on the first rank's", directory.string(),
                        host_name());
        if (access(directory.c_str(), W_OK | X_OK) != 0)
          throw IoError("{} is not writable on host {}", directory.string(), host_name());
      });
  world.barrier();
  std::error_code ignored;
  if (world.rank() == 0) fs::remove(token, ignored);
  return finding;
}

Finding check_devices(Communicator& world) {
  std::size_t visible = 0;
  RankDevice own;
  Finding finding = shared(world, "devices", "", "nvidia-smi on that host tells more", [&] {
    visible = device_backend().visible().size();
    if (visible > 0) own = device_of_rank(world);
  });
  if (finding.level != Finding::Level::fine) return finding;
  if (visible > 0) {
    finding.text = formatted("{} visible to the first rank; {}", visible,
                             own.shared ? *own.shared + ", so they exchange through the host's memory"
                                        : std::string("one a rank"));
  } else if (device_backend().libraries().empty()) {
    finding.text = "this build computes on the CPU";
  } else {
    finding.text = "no GPU is visible; this build could use one";
  }
  return finding;
}

/// Whose images are where: the job is a whole one.
bool is_whole(const JobInput& input) {
  return !input.images.data.empty() && !input.store.out.empty();
}

Finding doubt_of_prior(std::string text) {
  return Finding::warning("prior", std::move(text), "take all files of the prior from one model");
}

/// The prior as `restore` opens it, by one rank, where there is no whole job.
std::vector<Finding> check_prior(Communicator& world, const JobInput& input) {
  std::vector<Finding> doubts;  // on the first rank
  std::vector<Finding> findings = {
      shared(world, "weights", formatted("prior.path = {} loads", input.prior.path),
             "see the message; every host needs to see the same files", [&] {
               const std::string directory = prior_files(input.prior.path);
               if (access(directory.c_str(), R_OK) != 0)
                 throw NotFoundError("{} is not readable on host {}", directory, host_name());
               if (world.rank() != 0 || is_whole(input)) return;
               const std::unique_ptr<Prior> prior = build_prior(input);
               for (const std::string& warning : prior->warnings) doubts.push_back(doubt_of_prior(warning));
               if (!prior->probe) return;
               if (auto doubt = prior->probe()) doubts.push_back(doubt_of_prior(*std::move(doubt)));
             })};
  findings.insert(findings.end(), doubts.begin(), doubts.end());
  return findings;
}

/// The whole job as `restore` opens it, by one rank; what its results take.
std::vector<Finding> check_job(Communicator& world, const Settings& settings,
                               std::span<const RankFacts> ranks, std::uint64_t& needed) {
  const auto sharing = settings.as<JobInput>().layout.ranks_per_image;
  const GridPlace place =
      ProcessGrid(world, static_cast<int>(std::min<std::int64_t>(sharing, world.size()))).place();
  std::vector<Finding> ahead;  // on the first rank
  std::int64_t images = 0;
  Finding whole = shared(world, "job", "", "see the message; `dwgf restore --help` lists the options", [&] {
    if (world.rank() != 0) return;
    Communicator alone = Communicator::self();
    const RestoreJob job(settings, alone);
    ahead = look_ahead(job, {place.groups, place.group_size, ranks, /*weights_loaded=*/false});
    if (job.prior().probe) {
      if (auto doubt = job.prior().probe()) ahead.push_back(doubt_of_prior(*std::move(doubt)));
    }
    images = static_cast<std::int64_t>(job.images().size());
    needed = disk_bytes(job.layout(""));
  });
  if (whole.level == Finding::Level::fine) {
    whole.text = formatted("{}{}", images, images == 1 ? " image" : " images");
    if (std::ranges::all_of(ahead, [](const Finding& finding) { return finding.topic == "prior"; }))
      whole.text += ", all options fit together";
  }
  ahead.insert(ahead.begin(), whole);
  return ahead;
}

}  // namespace

ExitCode doctor(Communicator& world, const Settings& settings) {
  const JobInput& input = settings.as<JobInput>();
  std::vector<Finding> findings = {Finding::fine("started by", launcher_identity())};
  const auto start = std::chrono::steady_clock::now();
  std::optional<Heartbeat> heartbeat;
  if (world.rank() == 0) {
    heartbeat.emplace([start] {
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
      return formatted("looking at the machine and the job, for {}", human_duration(taken.count()));
    });
  }
  const std::vector<RankFacts> ranks = facts_of_all(world);
  std::set<std::string> hosts;
  for (const RankFacts& facts : ranks) hosts.insert(facts.host);
  const auto add = [&](const std::vector<Finding>& more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };

  findings.push_back(diagnose_ranks(world.size(), static_cast<int>(hosts.size()), allocated_tasks()));
  add(diagnose_binding(ranks, static_cast<int>(input.layout.threads)));
  findings.push_back(check_devices(world));
  findings.push_back(diagnose_clocks(ranks));
  add(diagnose_libraries(ranks));
  for (const LibraryVersions& library : device_backend().libraries())
    findings.push_back(Finding::fine(
        "libraries", formatted("{} {}, compiled with {}", library.name, library.loaded, library.compiled)));
  std::uint64_t needed = 0;
  add(check_prior(world, input));
  if (is_whole(input)) add(check_job(world, settings, ranks, needed));
  const fs::path directory = output_directory(input);
  findings.push_back(check_directory(world, directory));
  if (findings.back().level == Finding::Level::fine) {
    findings.push_back(shared(world, "MPI-IO", "what all ranks wrote was read back as it was",
                              "do not write results here: another file system, or another MPI-IO "
                              "(Open MPI 4: OMPI_MCA_io=romio321 or ompio)",
                              [&] { test_mpi_io((directory / ".dwgf-doctor-io").string(), world); }));
    struct statvfs system {};
    if (statvfs(directory.c_str(), &system) == 0) {
      findings.push_back(
          diagnose_space(directory.string(), needed, std::uint64_t{system.f_bavail} * system.f_frsize));
    }
  }
  if (world.rank() == 0) std::fputs(text_of(findings).c_str(), stdout);
  return conclusion(findings);
}

}  // namespace dwgf
