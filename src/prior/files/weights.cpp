#include "prior/files/weights.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "prior/files/json_file.hpp"
#include "prior/files/sha256.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> file_names(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw NotFoundError(
        "prior: there is no folder {}; a prior is a diffusers directory with unet/, vae/ and scheduler/",
        folder.string());
  }
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) throw IoError("prior: cannot list {} ({})", folder.string(), error.message());
  std::ranges::sort(names);
  return names;
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + shortened(name);
  return out;
}

/// The file to open: the plain name, else its only variant, fp16 before others. Empty where there is none.
std::string choose(const std::vector<std::string>& names, const std::string& plain, const std::string& stem,
                   bool index, const fs::path& folder) {
  std::vector<std::string> variants;
  for (const auto& name : names) {
    if (name == plain) return name;
    const bool is_index = name.ends_with(".json") && name.find(".index.") != std::string::npos;
    const bool is_shard = name.find("-of-") != std::string::npos;
    const bool matches = index ? is_index : name.ends_with(".safetensors") && !is_shard;
    if (name.starts_with(stem + ".") && matches) variants.push_back(name);
  }
  for (const auto& name : variants) {
    if (name.find(".fp16.") != std::string::npos) return name;
  }
  if (variants.size() > 1) {
    throw DataError(
        "prior: {} has several variants of the weights and no {}: {}; keep the one that is wanted",
        folder.string(), plain, join(variants));
  }
  return variants.empty() ? "" : variants.front();
}

[[noreturn]] void throw_no_weights(const fs::path& folder, const std::string& stem,
                                   const std::vector<std::string>& names) {
  for (const auto& name : names) {
    for (const char* suffix : {".bin", ".ckpt", ".pt", ".pth", ".msgpack"}) {
      if (!name.ends_with(suffix)) continue;
      throw DataError(
          "prior: {} holds its weights as {} only (pickled files can run code and are not read); convert "
          "them once with Python: DiffusionPipeline.from_pretrained(DIR).save_pretrained(NEW_DIR, "
          "safe_serialization=True)",
          folder.string(), shortened(name));
    }
  }
  throw NotFoundError(
      "prior: no such file: {} (nor a variant of it, nor an index of shards); fetch the whole directory",
      (folder / (stem + ".safetensors")).string());
}

/// The files that an index names, by name; checked to be plain names. Which tensor it places where is not
/// relied on: published directories were renamed without their index, and the strict loading finds what is
/// missing.
std::set<std::string> indexed_files(const fs::path& index) {
  const nlohmann::json content = read_json_object(index);
  const auto map = content.find("weight_map");
  if (map == content.end() || !map->is_object() || map->empty()) {
    throw DataError("prior: {} has no 'weight_map' of tensors to files; fetch it again", index.string());
  }
  std::set<std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    const auto name = file.is_string() ? file.get<std::string>() : std::string();
    if (name.empty() || fs::path(name).filename().string() != name || !name.ends_with(".safetensors")) {
      throw DataError(
          "prior: {} places tensor '{}' in {}; a name of a .safetensors file beside the index is allowed",
          index.string(), shortened(tensor), brief(file));
    }
    files.insert(name);
  }
  return files;
}

}  // namespace

Weights::Weights(const fs::path& folder, const std::string& stem) : folder_(folder) {
  const auto names = file_names(folder);
  if (const auto single = choose(names, stem + ".safetensors", stem, false, folder); !single.empty()) {
    files_.emplace_back(folder / single);
  } else if (const auto index = choose(names, stem + ".safetensors.index.json", stem, true, folder);
             !index.empty()) {
    for (const std::string& file : indexed_files(folder / index)) files_.emplace_back(folder / file);
  } else {
    throw_no_weights(folder, stem, names);
  }
  std::set<std::string> seen;
  for (const auto& file : files_) {
    for (const auto& tensor : file.tensors()) {
      if (seen.insert(tensor.name).second) continue;
      throw DataError("prior: tensor '{}' is in two of the files in {}; fetch them again",
                      shortened(tensor.name), folder.string());
    }
  }
}

std::optional<std::string> same_name(const std::string& stored_name) {
  if (stored_name.ends_with("position_ids")) return std::nullopt;
  return stored_name;
}

namespace {

constexpr std::size_t kMostListed = 5;

/// Names for a message: the first few, and how many more.
struct Listing {
  std::vector<std::string> first;
  std::size_t count = 0;
  void add(std::string name) {
    if (count++ < kMostListed) first.push_back(std::move(name));
  }
  std::string text(const char* title) const {
    if (count == 0) return "";
    return formatted("; {} {}: {}{}", count, title, join(first), count > kMostListed ? ", ..." : "");
  }
};

bool serves(const std::vector<std::int64_t>& stored, at::IntArrayRef wanted) {
  if (wanted == at::IntArrayRef(stored)) return true;
  return wanted.size() == 2 && stored.size() == 4 && stored[0] == wanted[0] && stored[1] == wanted[1] &&
         stored[2] == 1 && stored[3] == 1;
}

void fill(const at::Tensor& parameter, const SafetensorsFile& file, const StoredTensor& tensor) {
  const at::Tensor stored = file.view(tensor);  // refuses types that are not weights, also when only checking
  if (parameter.is_meta()) return;
  // A sum is the fastest way to see that nothing is wrong; a finite one may still overflow, so look again.
  const auto finite = [&] {
    const auto wide = stored.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return std::isfinite(stored.sum(wide).item<double>()) || at::isfinite(stored).all().item<bool>();
  };
  if (!finite()) {
    throw DataError(
        "prior: tensor '{}' in {} has values that are not finite (NaN or infinity: a damaged file, or a "
        "training that failed); fetch it again",
        shortened(tensor.name), file.path().string());
  }
  parameter.copy_(stored.view(parameter.sizes()));
}

}  // namespace

void load_parameters(torch::nn::Module& module, const Weights& weights, const NameRule& rule,
                     FileHashes& hashes) {
  const at::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> parameters;
  for (const auto& item : module.named_parameters()) parameters.emplace(item.key(), item.value());

  std::map<std::string, at::Tensor> wanted;  // by stored name
  bool only_checked = true;
  Listing missing, unexpected, mismatched;
  for (const auto& file : weights.files()) {
    for (const auto& stored : file.tensors()) {
      const auto name = rule(stored.name);
      if (!name) continue;
      const auto found = parameters.find(*name);
      if (found == parameters.end()) {
        unexpected.add(stored.name);  // or two stored names for one parameter
        continue;
      }
      if (!serves(stored.shape, found->second.sizes())) {
        mismatched.add(
            formatted("{} is {}, not {}", stored.name, at::IntArrayRef(stored.shape), found->second.sizes()));
      }
      only_checked = only_checked && found->second.is_meta();
      wanted.emplace(stored.name, found->second);
      parameters.erase(found);
    }
  }
  for (const auto& item : parameters) missing.add(item.first);
  if (missing.count + unexpected.count + mismatched.count > 0) {
    throw DataError(
        "prior: the weights in {} do not belong to its config.json{}{}{}; fetch the directory again, whole "
        "and from one revision",
        weights.folder().string(), missing.text("missing"), unexpected.text("unexpected"),
        mismatched.text("of another shape"));
  }
  for (const auto& file : weights.files()) {
    std::optional<Sha256> hash;
    if (!only_checked && !hashes.contains(file.file().identity())) hash.emplace().update(file.header());
    for (const auto& stored : file.tensors()) {
      if (const auto found = wanted.find(stored.name); found != wanted.end())
        fill(found->second, file, stored);
      if (hash) hash->update(file.bytes(stored));
      file.file().release(file.bytes(stored));
    }
    if (hash) hashes.emplace(file.file().identity(), hash->finish());
  }
}

std::string sha256(const std::vector<const Weights*>& weights, FileHashes& hashes) {
  std::string lines;
  for (const auto* one : weights) {
    for (const auto& file : one->files()) {
      std::string& known = hashes[file.file().identity()];
      if (known.empty()) {
        Sha256 hash;
        hash.update(file.file().bytes());
        known = hash.finish();
      }
      lines += known + "\n";
    }
  }
  return sha256_of(lines);
}

}  // namespace dwgf
