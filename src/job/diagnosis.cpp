#include "job/diagnosis.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include <dwgf/base/text.hpp>

namespace dwgf {

namespace {

/// Ranks by host, in order of their lowest.
std::vector<std::pair<std::string, std::vector<std::size_t>>> by_host(std::span<const RankFacts> ranks) {
  std::vector<std::pair<std::string, std::vector<std::size_t>>> hosts;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    auto found = std::find_if(hosts.begin(), hosts.end(),
                              [&](const auto& host) { return host.first == ranks[rank].host; });
    if (found == hosts.end()) found = hosts.insert(found, {ranks[rank].host, {}});
    found->second.push_back(rank);
  }
  return hosts;
}

/// "1.2.13" -> "1.2": what decides whether two versions work together.
std::string series(const std::string& version) {
  const std::size_t first = version.find('.');
  return first == std::string::npos ? version : version.substr(0, version.find('.', first + 1));
}

}  // namespace

Finding Finding::fine(std::string topic, std::string text) {
  return {Level::fine, std::move(topic), std::move(text)};
}
Finding Finding::warning(std::string topic, std::string text, std::string advice) {
  return {Level::warning, std::move(topic), std::move(text), std::move(advice)};
}
Finding Finding::problem(std::string topic, std::string text, std::string advice, ExitCode code) {
  return {Level::problem, std::move(topic), std::move(text), std::move(advice), code};
}

std::string RankFacts::json() const {
  nlohmann::json object = {{"host", host},
                           {"processors", processors},
                           {"host_processors", host_processors},
                           {"memory_available", memory_available},
                           {"clock", clock},
                           {"libraries", nlohmann::json::array()}};
  for (const LibraryVersions& library : libraries)
    object["libraries"].push_back({library.name, library.compiled, library.loaded});
  return object.dump();
}

RankFacts RankFacts::from_json(const std::string& text) {
  const nlohmann::json object = nlohmann::json::parse(text);
  RankFacts facts;
  facts.host = object.at("host");
  facts.processors = object.at("processors").get<std::vector<int>>();
  facts.host_processors = object.at("host_processors");
  facts.memory_available = object.at("memory_available");
  facts.clock = object.at("clock");
  for (const nlohmann::json& library : object.at("libraries"))
    facts.libraries.push_back({library.at(0), library.at(1), library.at(2)});
  return facts;
}

Finding diagnose_ranks(int found, int hosts, int allocated) {
  const std::string text = formatted("{}{} on {}{}", found, found == 1 ? " rank" : " ranks", hosts,
                                     hosts == 1 ? " host" : " hosts");
  if (allocated <= found) return Finding::fine("ranks", text);
  return Finding::warning("ranks", formatted("{}, but the batch job has {} tasks", text, allocated),
                          "start it as a step: srun --mpi=pmix dwgf ..., or mpirun");
}

std::vector<Finding> diagnose_binding(std::span<const RankFacts> ranks, int threads) {
  std::vector<Finding> findings;
  for (const auto& [host, members] : by_host(ranks)) {
    std::map<int, int> users;  // of a processor
    std::size_t fewest = ranks[members.front()].processors.size();
    for (const std::size_t rank : members) {
      fewest = std::min(fewest, ranks[rank].processors.size());
      for (const int processor : ranks[rank].processors) ++users[processor];
    }
    const std::size_t wanted = members.size() * static_cast<std::size_t>(threads);
    const std::string what =
        formatted("{}: {}{} of {}{}", host, members.size(), members.size() == 1 ? " rank" : " ranks", threads,
                  threads == 1 ? " thread" : " threads");
    if (wanted > users.size()) {
      findings.push_back(Finding::warning(
          "processors",
          formatted("{} on {}{}", what, users.size(), users.size() == 1 ? " processor" : " processors"),
          "fewer ranks or a smaller run.threads, or more processors: srun --cpus-per-task=" +
              std::to_string(threads) + ", mpirun --bind-to none"));
    } else if (fewest < static_cast<std::size_t>(threads)) {
      findings.push_back(Finding::warning("processors",
                                          formatted("{}, but some are bound to {}{}", what, fewest,
                                                    fewest == 1 ? " processor" : " processors"),
                                          "srun --cpus-per-task=" + std::to_string(threads) +
                                              ", mpirun --map-by slot:PE=" + std::to_string(threads) +
                                              " or --bind-to none"));
    } else {
      findings.push_back(
          Finding::fine("processors", formatted("{} on {} of {} processors", what, users.size(),
                                                ranks[members.front()].host_processors)));
    }
  }
  return findings;
}

std::vector<Finding> diagnose_memory(std::span<const RankFacts> ranks, const MemoryNeed& need,
                                     const std::string& advice) {
  constexpr double surely = 0.8;
  std::vector<Finding> findings;
  for (const auto& [host, members] : by_host(ranks)) {
    std::uint64_t available = ranks[members.front()].memory_available;
    for (const std::size_t rank : members) available = std::min(available, ranks[rank].memory_available);
    const std::uint64_t needed = need.a_rank * members.size();
    if (available == 0 || needed <= available) continue;
    const std::string text =
        formatted("a step is expected to take {} more on {}{}, which has {} available", human_bytes(needed),
                  host, members.size() == 1 ? std::string() : formatted(" ({} ranks)", members.size()),
                  human_bytes(available));
    const bool certain =
        !need.is_estimate || surely * static_cast<double>(needed) > static_cast<double>(available);
    findings.push_back(certain ? Finding::problem("memory", text, advice, ExitCode::usage)
                               : Finding::warning("memory", text, advice));
  }
  return findings;
}

std::vector<Finding> diagnose_work(int groups, int group_size, std::int64_t images,
                                   std::int64_t micro_batches) {
  std::vector<Finding> findings;
  if (groups > images) {
    const std::int64_t idle = groups - images;
    findings.push_back(
        Finding::warning("ranks",
                         formatted("{} of {} groups of ranks have no image to work on: there {} {}", idle,
                                   groups, images == 1 ? "is" : "are", images),
                         formatted("fewer ranks, or run.ranks_per_image = {}, so that ranks share an image",
                                   (std::int64_t{groups} * group_size + images - 1) / images)));
  }
  if (group_size > 1 && micro_batches <= (micro_batches + group_size - 1) / group_size * (group_size - 1)) {
    findings.push_back(Finding::warning(
        "ranks",
        formatted("some ranks of each group have no particles: {} {} for {} ranks", micro_batches,
                  micro_batches == 1 ? "micro-batch" : "micro-batches", group_size),
        "a smaller flow.micro_batch (at most flow.particles / run.ranks_per_image), or fewer ranks an "
        "image"));
  }
  return findings;
}

std::vector<Finding> diagnose_precision(const std::string& precision, const std::string& flags) {
  const std::string words = " " + flags + " ";
  const auto has = [&](const char* flag) { return words.find(formatted(" {} ", flag)) != std::string::npos; };
  // Of x86 and of ARM.
  const bool fast = precision == "bf16"   ? has("avx512_bf16") || has("amx_bf16") || has("bf16")
                    : precision == "fp16" ? has("avx512_fp16") || has("amx_fp16") || has("fphp")
                                          : true;
  if (fast) return {};
  return {Finding::warning(
      "precision",
      formatted("this processor has no instructions for {}, which then takes many times as long as fp32",
                precision),
      "flow.precision = fp32 (or prior.unet_precision and prior.autoencoder_precision)")};
}

Finding diagnose_clocks(std::span<const RankFacts> ranks) {
  std::size_t furthest = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    if (std::abs(ranks[rank].clock - ranks[0].clock) > std::abs(ranks[furthest].clock - ranks[0].clock))
      furthest = rank;
  }
  const double skew = ranks[furthest].clock - ranks[0].clock;
  if (std::abs(skew) < 1.0) return Finding::fine("clocks", "less than a second apart");
  return Finding::warning(
      "clocks",
      formatted("that of {} is {}{} that of {}", ranks[furthest].host, human_duration(std::abs(skew)),
                skew > 0 ? " ahead of" : " behind", ranks[0].host),
      "times in logs and of files will not fit together; see to the hosts' NTP");
}

std::vector<Finding> diagnose_libraries(std::span<const RankFacts> ranks) {
  std::vector<Finding> findings;
  for (std::size_t k = 0; k < ranks[0].libraries.size(); ++k) {
    const LibraryVersions& library = ranks[0].libraries[k];
    const auto other = std::find_if(ranks.begin(), ranks.end(), [&](const RankFacts& facts) {
      return facts.libraries.size() <= k || facts.libraries[k].loaded != library.loaded;
    });
    if (other != ranks.end()) {
      const std::string theirs = other->libraries.size() <= k ? "none" : other->libraries[k].loaded;
      findings.push_back(Finding::problem(
          "libraries",
          formatted("{} is {} on {}, but {} on {}", library.name, library.loaded, ranks[0].host, theirs,
                    other->host),
          "load the same modules on all hosts; results depend on the versions", ExitCode::usage));
    } else if (series(library.compiled) != series(library.loaded)) {
      findings.push_back(Finding::warning(
          "libraries",
          formatted("{} {} is loaded, compiled with {}", library.name, library.loaded, library.compiled),
          "load the module that the program was built with (ldd names the file), or build it again"));
    } else {
      findings.push_back(Finding::fine("libraries", formatted("{} {}", library.name, library.loaded)));
    }
  }
  return findings;
}

Finding diagnose_space(const std::string& directory, std::uint64_t needed, std::uint64_t free) {
  const std::string text = formatted("{} has {} free", directory, human_bytes(free));
  if (needed == 0) return Finding::fine("space", text + "; what is needed is known once input.data is set");
  const std::string both = formatted("{}, the results take {}", text, human_bytes(needed));
  if (needed > free) {
    return Finding::problem("space", both,
                            "another place (store.out), fewer images, or smaller types (store.particles, "
                            "store.latents)",
                            ExitCode::io);
  }
  return Finding::fine("space", both);
}

ExitCode conclusion(std::span<const Finding> findings) {
  for (const Finding& finding : findings) {
    if (finding.level == Finding::Level::problem) return finding.code;
  }
  return ExitCode::ok;
}

std::string text_of(std::span<const Finding> findings) {
  constexpr const char* words[] = {"ok", "warning", "PROBLEM"};
  const auto padded = [](std::string text, std::size_t width) {
    text.resize(std::max(text.size(), width), ' ');
    return text;
  };
  std::string all;
  for (const Finding& finding : findings) {
    all += formatted("{}{}{}\n", padded(words[static_cast<int>(finding.level)], 9), padded(finding.topic, 12),
                     finding.text);
    if (!finding.advice.empty()) all += formatted("{}-> {}\n", std::string(21, ' '), finding.advice);
  }
  return all;
}

}  // namespace dwgf
