// The structure of a results file, read by one rank, as the others hear of it. Names of images are not part
// of it: they are most of its bytes, and who writes has them from the job.
#include <cstring>

#include <nlohmann/json.hpp>

#include "store/detail/results_impl.hpp"

namespace dwgf {
namespace {

using Json = nlohmann::json;

template <class Value>
Json bytes_of(const std::vector<ImageEntry>& images, Value ImageEntry::*field) {
  std::vector<std::uint8_t> bytes(images.size() * sizeof(Value));
  for (std::size_t k = 0; k < images.size(); ++k)
    std::memcpy(bytes.data() + k * sizeof(Value), &(images[k].*field), sizeof(Value));
  return Json::binary(std::move(bytes));
}

template <class Value>
void take_bytes(const Json& from, std::vector<ImageEntry>& images, Value ImageEntry::*field) {
  const auto& bytes = from.get_binary();
  for (std::size_t k = 0; k < images.size(); ++k)
    std::memcpy(&(images[k].*field), bytes.data() + k * sizeof(Value), sizeof(Value));
}

Json layout_to_json(const ResultsLayout& layout) {
  Json datasets = Json::array(), constants = Json::object(), prompts = Json::array();
  for (const DatasetLayout& dataset : layout.datasets)
    datasets.push_back({dataset.path, static_cast<int>(dataset.type), dataset.row_shape});
  for (const auto& [name, array] : layout.constants) constants[name] = array.shape;
  if (has_prompts(layout))
    for (const ImageEntry& image : layout.images) prompts.push_back(image.prompt);
  return {{"images", layout.images.size()},
          {"ids", bytes_of(layout.images, &ImageEntry::id)},
          {"heights", bytes_of(layout.images, &ImageEntry::height)},
          {"widths", bytes_of(layout.images, &ImageEntry::width)},
          {"prompts", std::move(prompts)},
          {"datasets", std::move(datasets)},
          {"constants", std::move(constants)},
          {"attributes", layout.attributes}};
}

ResultsLayout layout_from_json(const Json& from) {
  ResultsLayout layout;
  layout.images.resize(from["images"]);
  take_bytes(from["ids"], layout.images, &ImageEntry::id);
  take_bytes(from["heights"], layout.images, &ImageEntry::height);
  take_bytes(from["widths"], layout.images, &ImageEntry::width);
  for (std::size_t k = 0; k < from["prompts"].size(); ++k) layout.images[k].prompt = from["prompts"][k];
  for (const Json& dataset : from["datasets"])
    layout.datasets.push_back({dataset[0], static_cast<NumberType>(dataset[1].get<int>()), dataset[2]});
  for (const auto& [name, shape] : from["constants"].items()) layout.constants[name] = {shape, {}};
  layout.attributes = from["attributes"];
  return layout;
}

}  // namespace

void ResultsFile::Impl::share_structure(Communicator& ranks) {
  std::vector<std::uint8_t> bytes;
  if (ranks.rank() == 0) {
    Json shards = Json::array();
    for (const Part& part : parts) shards.push_back({part.shard.path, part.shard.first, part.shard.rows});
    // CBOR, as texts need not be UTF-8.
    bytes = Json::to_cbor({{"layout", layout_to_json(layout)}, {"shards", shards}, {"in_shards", in_shards}});
  }
  std::uint64_t size = bytes.size();
  ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  bytes.resize(size);
  ranks.broadcast(std::as_writable_bytes(std::span(bytes)), 0);
  if (ranks.rank() == 0) return;
  const Json structure = Json::from_cbor(bytes);
  layout = layout_from_json(structure["layout"]);
  in_shards = structure["in_shards"];
  for (const Json& shard : structure["shards"])
    parts.emplace_back().shard = {shard[0], shard[1], shard[2], {}};
}

}  // namespace dwgf
