#include "job/priors.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include <dwgf/base/text.hpp>
#include <dwgf/prior/families/known_families.hpp>

#include "base/log.hpp"
#include "base/printable.hpp"
#include "job/build.hpp"
#include "prior/families/description.hpp"
#include "prior/families/known_models.hpp"

namespace dwgf {
namespace {

using Json = nlohmann::ordered_json;

/// What one call of each network takes.
struct Measured {
  std::int64_t height = 0, width = 0;  ///< of the image [pixels]
  std::vector<std::pair<const char*, double>> seconds;
  std::optional<std::uint64_t> step_bytes;  ///< of one step of one particle, beside the weights
  std::vector<std::string> warnings;
};

double seconds_of(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The side of the images to measure with: as asked for, as trained, or a small one.
std::int64_t chosen_size(const PriorsInput& input, const PriorDescription& description) {
  constexpr std::int64_t kSmall = 64;
  if (input.size > 0) return input.size;
  return description.pixels > 0 ? description.pixels : kSmall;
}

Measured measure(const Prior& prior, std::int64_t size) {
  const Canvas canvas = prior.geometry.only.value_or(prior.geometry.canvas(size, size));
  Measured measured{canvas.height, canvas.width, {}, std::nullopt, prior.warnings};
  if (prior.step_bytes) measured.step_bytes = prior.step_bytes(1, canvas.latent_height, canvas.latent_width);
  // Values hardly change how long a call takes.
  const at::Tensor z = at::zeros(
      {1, prior.geometry.latent_channels, canvas.latent_height, canvas.latent_width}, prior.options);
  const auto time = [&](const char* name, const std::function<void()>& call) {
    log_job(LogLevel::info, formatted("timing the {} ...", name));
    measured.seconds.emplace_back(name, seconds_of(call));
  };
  at::Tensor x;
  time("denoiser", [&] { prior.noise(z, prior.path->first()); });
  if (dynamic_cast<const IdentityCodec*>(prior.codec.get())) return measured;
  time("decoder", [&] { x = prior.codec->decode(z); });  // [1, C, H, W]
  time("decoder with its vjp", [&] { prior.codec->decode_vjp(z).pull(x); });
  time("encoder", [&] { prior.codec->encode(x); });
  return measured;
}

/// A number of parameters, "85.3 K", "1.8 M".
std::string count_text(std::int64_t numbers) {
  const bool few = numbers < 1'000'000;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %c", static_cast<double>(numbers) / (few ? 1e3 : 1e6),
                few ? 'K' : 'M');
  return text;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

void print_line(const char* what, const std::string& text) {
  if (!text.empty()) std::printf("  %-11s %s\n", what, printable(text).c_str());
}

void print_networks(const PriorDescription& description) {
  if (description.networks.empty()) return;
  std::printf("  %-16s %-30s %12s %6s %10s\n", "folder", "network", "parameters", "type", "bytes");
  for (const NetworkDescription& network : description.networks) {
    const std::string kind = network.kind.empty() ? "-" : network.kind;
    std::printf("  %-16s %-30s %12s %6s %10s\n", (network.folder + "/").c_str(), printable(kind).c_str(),
                network.problem.empty() ? count_text(network.parameters).c_str() : "-",
                network.type.empty() ? "-" : network.type.c_str(), human_bytes(network.bytes).c_str());
  }
  std::printf("  %-16s %-30s %12s %6s %10s\n", "all", "", count_text(description.parameters()).c_str(), "",
              human_bytes(description.bytes()).c_str());
  for (const NetworkDescription& network : description.networks) print_line("problem", network.problem);
}

void print_measured(const Measured& measured) {
  std::printf("  one call on an image of %lld x %lld, on this machine:\n",
              static_cast<long long>(measured.height), static_cast<long long>(measured.width));
  for (const auto& [name, seconds] : measured.seconds)
    std::printf("    %-22s %s\n", name, human_duration(seconds).c_str());
  if (measured.step_bytes) {
    print_line("memory", formatted("{} for a step of one particle, beside the weights",
                                   human_bytes(*measured.step_bytes)));
  }
  for (const std::string& warning : measured.warnings) print_line("warning", warning);
}

std::string size_sentence(const PriorDescription& description) {
  if (description.pixels == 0) return "";
  return formatted("trained on {} x {}; any multiple of {} is computed", description.pixels,
                   description.pixels, description.factor);
}

std::string memory_sentence(const PriorDescription& description) {
  const auto parameters = static_cast<std::uint64_t>(description.parameters());
  if (parameters == 0) return "";
  return formatted("{} of weights a rank in fp32, {} in bf16", human_bytes(4 * parameters),
                   human_bytes(2 * parameters));
}

std::string scheduler_sentence(const PriorDescription& description) {
  if (description.scheduler.empty()) return "";
  return formatted("{}, the network gives {}", description.scheduler, description.prediction);
}

void print_description(const std::string& path, const PriorDescription& description) {
  std::printf("%s\n", printable(path).c_str());
  print_line("family", description.family);
  print_line("shapes of", joined(description.models, ", or of "));
  print_line("problem", description.problem);
  print_networks(description);
  print_line("in memory", memory_sentence(description));
  print_line("scheduler", scheduler_sentence(description));
  print_line("images", size_sentence(description));
  print_line("made for",
             description.steps.empty()
                 ? ""
                 : description.steps + " calls of the denoiser for a sample without a measurement");
}

Json json_of(const std::string& path, const PriorDescription& description,
             const std::optional<Measured>& measured) {
  Json networks = Json::array();
  for (const NetworkDescription& network : description.networks) {
    networks.push_back({{"folder", network.folder},
                        {"class", network.kind},
                        {"type", network.type},
                        {"parameters", network.parameters},
                        {"bytes", network.bytes},
                        {"problem", network.problem}});
  }
  Json object = {{"path", path},
                 {"family", description.family},
                 {"problem", description.problem},
                 {"models", description.models},
                 {"networks", networks},
                 {"scheduler", description.scheduler},
                 {"prediction", description.prediction},
                 {"steps", description.steps},
                 {"factor", description.factor},
                 {"pixels", description.pixels}};
  if (!measured) return object;
  Json seconds = Json::object();
  for (const auto& [name, value] : measured->seconds) seconds[name] = value;
  object["measured"] = {{"height", measured->height},
                        {"width", measured->width},
                        {"seconds", seconds},
                        {"step_bytes", measured->step_bytes ? Json(*measured->step_bytes) : Json()},
                        {"warnings", measured->warnings}};
  return object;
}

bool is_readable(const PriorDescription& description) {
  return description.problem.empty() &&
         std::ranges::all_of(description.networks, &std::string::empty, &NetworkDescription::problem);
}

/// Of the models that can be fetched.
void print_known_models(bool as_json) {
  Json list = Json::array();
  if (!as_json) {
    std::printf("%-56s %10s %10s %8s  %s\n", "model", "parameters", "fp16", "pixels",
                "on the Hugging Face hub");
  }
  for (const KnownModel& model : known_models()) {
    const double gigabytes = 2 * model.parameters;
    if (as_json) {
      list.push_back({{"model", model.name},
                      {"family", model.family},
                      {"source", model.source},
                      {"parameters", model.parameters * 1e9},
                      {"pixels", model.pixels},
                      {"steps", model.steps}});
      continue;
    }
    std::printf("%-56s %8.2f G %7.1f GB %8lld  %s\n", model.name, model.parameters, gigabytes,
                static_cast<long long>(model.pixels), model.source);
  }
  if (as_json) {
    std::printf("%s\n", list.dump(1).c_str());
    return;
  }
  std::printf(
      "\nFetch one where there is a network, take the folder along, and name it as prior.path:\n"
      "  hf download NAME --local-dir DIR --include '*.json' '*.txt' '*.safetensors'\n"
      "`dwgf priors DIR` says what of it was recognised; builtin:photo needs nothing fetched.\n"
      "Small autoencoders, for prior.codec: madebyollin/taesd (1.x, 2.x), taesdxl (XL), taesd3 (3, 3.5).\n");
}

}  // namespace

ExitCode priors_command(const Settings& settings) {
  const PriorsInput& input = settings.as<PriorsInput>();
  if (settings.positionals.empty()) {
    print_known_models(input.json);
    return ExitCode::ok;
  }
  Json list = Json::array();
  bool all_readable = true;
  for (const std::string& name : settings.positionals) {
    const std::string path = prior_files(name);
    const PriorDescription description = describe_prior(path);
    if (!input.json) print_description(name, description);
    std::optional<Measured> measured;
    if (input.measure && is_readable(description)) {
      JobInput job;
      job.prior.path = name;
      job.method = input.method;
      log_job(LogLevel::info, formatted("loading {} ...", name));
      measured = measure(*build_prior(job), chosen_size(input, description));
      if (!input.json) print_measured(*measured);
    }
    list.push_back(json_of(name, description, measured));
    all_readable = all_readable && is_readable(description);
  }
  if (input.json) std::printf("%s\n", list.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
  return all_readable ? ExitCode::ok : ExitCode::bad_data;
}

}  // namespace dwgf
