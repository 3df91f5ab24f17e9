#include "prior/families/description.hpp"

#include <array>
#include <map>
#include <numeric>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/known_families.hpp>
#include <dwgf/prior/families/levy.hpp>

#include "prior/families/known_models.hpp"
#include "prior/files/config_file.hpp"
#include "prior/files/json_file.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/weights.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

struct Place {
  const char* folder;
  const char* stem;
};
// transformers calls the weights of a text encoder otherwise than diffusers those of its networks.
constexpr std::array<Place, 7> kPlaces{{{"unet", kWeightsStem},
                                        {"transformer", kWeightsStem},
                                        {"", kWeightsStem},
                                        {"vae", kWeightsStem},
                                        {"text_encoder", "model"},
                                        {"text_encoder_2", "model"},
                                        {"text_encoder_3", "model"}}};

nlohmann::json config_of(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored) ? read_json_object(file) : nlohmann::json::object();
}

std::string text_at(const nlohmann::json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_string() ? shortened(found->get<std::string>()) : "";
}

/// diffusers names a class, transformers a list of architectures.
std::string class_of(const nlohmann::json& config) {
  if (const std::string name = text_at(config, "_class_name"); !name.empty()) return name;
  const auto architectures = config.find("architectures");
  if (architectures == config.end() || !architectures->is_array() || architectures->empty()) return "";
  const nlohmann::json& first = architectures->front();
  return first.is_string() ? shortened(first.get<std::string>()) : "";
}

void count_tensors(const Weights& weights, NetworkDescription& network) {
  std::map<std::string, std::int64_t> of_type;
  for (const SafetensorsFile& file : weights.files()) {
    for (const StoredTensor& tensor : file.tensors()) {
      const std::int64_t numbers =
          std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>());
      of_type[tensor.dtype] += numbers;
      network.parameters += numbers;
      network.bytes += tensor.end - tensor.begin;
    }
  }
  for (const auto& [type, numbers] : of_type) {
    if (network.type.empty() || numbers > of_type[network.type]) network.type = type;
  }
}

NetworkDescription describe_network(const fs::path& directory, const Place& place) {
  NetworkDescription network{.folder = place.folder};
  try {
    network.kind = class_of(config_of(directory / place.folder / "config.json"));
    count_tensors(Weights(directory / place.folder, place.stem), network);
  } catch (const Error& error) {
    network.problem = error.what();
  }
  return network;
}

bool has_network(const fs::path& directory, const Place& place) {
  std::error_code ignored;
  return fs::exists(directory / place.folder / "config.json", ignored);
}

/// Each level of an autoencoder but the first halves the size; a tiny one says its levels twice.
std::int64_t codec_factor(const fs::path& directory) {
  std::error_code ignored;
  const bool has_folder = fs::exists(directory / "vae" / "config.json", ignored);
  const nlohmann::json config = config_of((has_folder ? directory / "vae" : directory) / "config.json");
  for (const char* key : {"block_out_channels", "encoder_block_out_channels"}) {
    const auto levels = config.find(key);
    if (levels != config.end() && levels->is_array() && !levels->empty() && levels->size() < 16)
      return std::int64_t{1} << (levels->size() - 1);
  }
  return 0;
}

/// A scheduler of few steps says so by its class; without one, a known model says it.
std::string intended_steps(const std::string& scheduler, const std::vector<const KnownModel*>& models) {
  if (scheduler == "LCMScheduler") return "1 to 8";
  if (scheduler == "TCDScheduler") return "2 to 8";
  return models.empty() ? "" : models.front()->steps;
}

void describe_scheduler(const fs::path& directory, PriorDescription& description) {
  const fs::path beside = directory / "scheduler_config.json";
  std::error_code ignored;
  const nlohmann::json config =
      config_of(fs::exists(beside, ignored) ? beside : directory / "scheduler" / "scheduler_config.json");
  description.scheduler = class_of(config);
  if (description.scheduler.starts_with("FlowMatch")) {
    description.prediction = "velocity";
  } else if (!config.empty()) {
    const std::string said = text_at(config, "prediction_type");
    description.prediction = said.empty() ? "epsilon" : said;
  }
}

void describe_directory(const fs::path& directory, PriorDescription& description) {
  for (const Place& place : kPlaces) {
    if (has_network(directory, place)) description.networks.push_back(describe_network(directory, place));
  }
  if (description.networks.empty()) {
    throw DataError(
        "no network was found in it: a diffusers directory has the folders unet/ or transformer/, vae/ and "
        "scheduler/, each with its config.json");
  }
  describe_scheduler(directory, description);
  const DenoiserShape shape = denoiser_shape(directory);
  const std::vector<const KnownModel*> models = models_of(shape);
  for (const KnownModel* model : models) description.models.emplace_back(model->name);
  description.steps = intended_steps(description.scheduler, models);
  description.factor = codec_factor(directory);
  description.pixels = shape.sample_size * description.factor;
}

}  // namespace

std::int64_t PriorDescription::parameters() const {
  std::int64_t sum = 0;
  for (const NetworkDescription& network : networks) sum += network.parameters;
  return sum;
}

std::uint64_t PriorDescription::bytes() const {
  std::uint64_t sum = 0;
  for (const NetworkDescription& network : networks) sum += network.bytes;
  return sum;
}

PriorDescription describe_prior(const std::string& path) {
  PriorDescription description;
  try {
    std::error_code ignored;
    const bool is_codec = config_class(fs::path(path) / "config.json").starts_with("Autoencoder");
    description.family = is_codec ? "an autoencoder alone, for prior.codec" : family_of(path).name;
    const bool has_networks = fs::is_directory(path, ignored) && !is_levy_process(path);
    if (has_networks) describe_directory(path, description);
  } catch (const Error& error) {
    description.family.clear();
    description.problem = error.what();
  }
  return description;
}

}  // namespace dwgf
