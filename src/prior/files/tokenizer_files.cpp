#include <algorithm>
#include <map>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"
#include "prior/files/json_file.hpp"
#include "prior/files/safetensors.hpp"
#include "prior/files/tokenizer.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kMostTokens = 1 << 24;       // far beyond any published vocabulary
constexpr double kMostMaxLength = 1'000'000;  // transformers writes 1e30 for "none"

/// In transformers' order, which decides between two descriptions of one token.
constexpr const char* kNamedTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};
constexpr const char* kStart = "<|startoftext|>";
constexpr const char* kEnd = "<|endoftext|>";

json optional_object(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored) ? read_json_object(file) : json::object();
}

json value(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? json() : *found;
}

void read_vocabulary(const json& content, const fs::path& file, TokenizerFiles& out) {
  if (!content.is_object() || content.empty())
    throw DataError("prior: {} has no vocabulary of tokens to numbers; fetch it again", file.string());
  for (const auto& [symbol, number] : content.items()) {
    if (!number.is_number_integer() || !(number.get<double>() >= 0 && number.get<double>() < kMostTokens)) {
      throw DataError("prior: {}: token '{}' has the number {}; supported: whole numbers 0 ... {}",
                      file.string(), shortened(symbol), brief(number),
                      static_cast<std::int64_t>(kMostTokens) - 1);
    }
    out.vocabulary.emplace(symbol, number.get<std::int64_t>());
  }
}

void add_merge(const std::string& left, const std::string& right, const fs::path& file, std::size_t position,
               TokenizerFiles& out) {
  for (const auto& symbol : {left, right, left + right}) {
    if (out.vocabulary.contains(symbol)) continue;
    throw DataError(
        "prior: {}: merge {} ('{}' with '{}') needs the token '{}', which {} does not have; fetch both "
        "again, of one revision",
        file.string(), position, shortened(left), shortened(right), shortened(symbol),
        out.vocabulary_file.string());
  }
  out.merges.emplace_back(left, right);
}

/// "left right", and nothing else.
bool split_merge(const std::string& line, std::string& left, std::string& right) {
  const auto blank = line.find(' ');
  if (blank == std::string::npos || line.find(' ', blank + 1) != std::string::npos) return false;
  left = line.substr(0, blank);
  right = line.substr(blank + 1);
  return !left.empty() && !right.empty();
}

void read_merges_file(const fs::path& file, TokenizerFiles& out) {
  const MappedFile mapped(file);
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.starts_with("#version")) continue;
    std::string left, right;
    if (!split_merge(line, left, right)) {
      throw DataError("prior: {}: line {} is '{}', not two tokens with a blank between; fetch it again",
                      file.string(), number, shortened(line));
    }
    add_merge(left, right, file, number, out);
  }
}

void read_merges_list(const json& merges, const fs::path& file, TokenizerFiles& out) {
  if (!merges.is_array())
    throw DataError("prior: {} has no list of merges ('model': 'merges'); fetch it again", file.string());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const json& merge = merges[i];
    std::string left, right;
    bool good = false;
    if (merge.is_string()) {
      good = split_merge(merge.get<std::string>(), left, right);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
      good = true;
    }
    if (!good) {
      throw DataError("prior: {}: merge {} is {}, not two tokens; fetch it again", file.string(), i + 1,
                      brief(merge));
    }
    add_merge(left, right, file, i + 1, out);
  }
}

/// What transformers makes of a token in a configuration: a text, or a description with a text and flags.
struct Described {
  SpecialToken token;
  bool plain = true;  ///< given as a mere text
};

Described describe(const json& found, const std::string& name, const fs::path& file) {
  Described out;
  if (found.is_string()) {
    out.token.content = found.get<std::string>();
  } else if (found.is_object() && value(found, "content").is_string()) {
    out.plain = false;
    out.token.content = found.at("content").get<std::string>();
    const json normalized = value(found, "normalized");
    out.token.normalized =
        normalized.is_boolean() ? normalized.get<bool>() : value(found, "special") != json(true);
    for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
      if (value(found, flag) != json(true)) continue;
      throw DataError(
          "prior: {}: '{}' has '{}' true; supported: false; use the tokenizer that the model was published "
          "with",
          file.string(), name, flag);
    }
  } else {
    throw DataError("prior: {}: '{}' is {}; supported: a text, or an object with a text 'content'",
                    file.string(), name, brief(found));
  }
  return out;
}

/// Reads the special tokens as transformers 5 merges them: tokenizer_config.json; unless that has
/// 'added_tokens_decoder', special_tokens_map.json over it, added_tokens.json and tokenizer.json's
/// 'added_tokens'.
void read_special_tokens(const fs::path& folder, const json& config, const json& added_tokens,
                         TokenizerFiles& out) {
  const fs::path config_file = folder / "tokenizer_config.json";
  const fs::path map_file = folder / "special_tokens_map.json";
  json named = config;
  std::map<std::string, fs::path> origin;
  std::vector<Described> added;
  const json decoder = value(config, "added_tokens_decoder");
  if (decoder.is_object()) {
    for (const auto& [number, token] : decoder.items())
      added.push_back(describe(token, "added_tokens_decoder " + shortened(number), config_file));
  } else {
    const json map = optional_object(map_file);
    for (const auto& [key, token] : map.items()) {
      named[key] = token;
      origin[key] = map_file;
    }
  }

  const auto origin_of = [&](const char* key) { return origin.contains(key) ? origin.at(key) : config_file; };
  std::vector<Described> candidates;
  std::map<std::string, std::string> contents = {
      {"bos_token", kStart}, {"eos_token", kEnd}, {"unk_token", kEnd}, {"pad_token", kEnd}};
  for (const char* key : kNamedTokens) {
    const json found = value(named, key);
    if (found.is_null() && !contents.contains(key)) continue;
    Described described;
    if (found.is_null()) {
      described.token.content = contents.at(key);
    } else {
      described = describe(found, key, origin_of(key));
      // A special_tokens_map.json leaves 'special' out, and its tokens are special.
      if (!described.plain && value(found, "normalized").is_null()) described.token.normalized = false;
    }
    contents[key] = described.token.content;
    candidates.push_back(described);
  }
  for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
    const json found = value(named, key);
    if (found.is_null() || found.empty()) continue;
    if (!found.is_array())
      throw DataError("prior: {}: '{}' is {}; supported: a list", origin_of(key).string(), key, brief(found));
    for (const auto& token : found) candidates.push_back(describe(token, key, origin_of(key)));
    break;
  }

  if (!decoder.is_object()) {
    const json legacy = optional_object(folder / "added_tokens.json");
    for (const auto& [content, number] : legacy.items()) {
      const bool special =
          std::ranges::any_of(candidates, [&](const Described& one) { return one.token.content == content; });
      added.push_back({.token = {.content = content, .normalized = !special}, .plain = false});
    }
    for (const auto& token : added_tokens)
      added.push_back(describe(token, "added_tokens", out.vocabulary_file));
  }

  // What the lists of added tokens say of a token goes first; among the rest the last one that differs wins.
  std::vector<Described> all = added;
  const auto has = [](const std::vector<Described>& list, const Described& wanted, bool same_kind) {
    return std::ranges::any_of(list, [&](const Described& one) {
      return one.token.content == wanted.token.content && (!same_kind || one.plain == wanted.plain);
    });
  };
  for (const auto& candidate : candidates) {
    if (!has(added, candidate, false) && !has(all, candidate, true)) all.push_back(candidate);
  }
  for (const auto& one : all) {
    if (one.token.content.empty()) continue;
    if (!out.vocabulary.contains(one.token.content)) {
      throw DataError(
          "prior: the special token '{}' of the tokenizer in {} is not in the vocabulary {}; fetch the "
          "folder again, whole and from one revision",
          shortened(one.token.content), folder.string(), out.vocabulary_file.string());
    }
    const auto same = std::ranges::find(out.special, one.token.content, &SpecialToken::content);
    if (same == out.special.end()) {
      out.special.push_back(one.token);
    } else {
      same->normalized = one.token.normalized;
    }
  }
  for (const auto& [key, content] : contents) {
    if (!content.empty()) continue;
    throw DataError("prior: {}: '{}' is empty; give the token's text", origin_of(key.c_str()).string(), key);
  }
  out.bos = contents.at("bos_token");
  out.eos = contents.at("eos_token");
  out.unknown = contents.at("unk_token");
  out.pad = contents.at("pad_token");
}

std::optional<std::int64_t> read_max_length(const json& config, const fs::path& file) {
  const json found = value(config, "model_max_length");
  if (found.is_null()) return std::nullopt;
  const double number = found.is_number() ? found.get<double>() : 0.0;
  if (!(number >= 2.0) ||
      (number < kMostMaxLength && number != static_cast<double>(static_cast<std::int64_t>(number)))) {
    throw DataError("prior: {}: 'model_max_length' is {}; supported: whole numbers of at least 2",
                    file.string(), brief(found));
  }
  if (number >= kMostMaxLength) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

}  // namespace

TokenizerFiles read_tokenizer_files(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw NotFoundError(
        "prior: there is no folder {}, so the prompt cannot be read; fetch the prior's tokenizer/ too, or "
        "give the prompt's embedding instead",
        folder.string());
  }
  TokenizerFiles out;
  json config = json::object(), added_tokens = json::array();
  const fs::path config_path = folder / "tokenizer_config.json";
  if (fs::exists(config_path, ignored)) {
    const ConfigFile checked(config_path, {"CLIPTokenizer"});
    checked.text("tokenizer_class", "CLIPTokenizer", {"CLIPTokenizer", "CLIPTokenizerFast"});
    checked.text("padding_side", "right", {"right"});
    checked.text("truncation_side", "right", {"right"});
    checked.require("split_special_tokens", false);
    config = read_json_object(config_path);
    out.max_length = read_max_length(config, config_path);
  }

  if (const fs::path whole = folder / "tokenizer.json"; fs::exists(whole, ignored)) {
    out.vocabulary_file = whole;
    const json content = read_json_object(whole);
    const json model = value(content, "model");
    if (!model.is_object() || value(model, "type") == json("Unigram") ||
        value(model, "type") == json("WordPiece"))
      throw DataError("prior: {}: 'model' is not of the type BPE, so it is not CLIP's tokenizer",
                      whole.string());
    read_vocabulary(value(model, "vocab"), whole, out);
    read_merges_list(value(model, "merges"), whole, out);
    if (value(content, "added_tokens").is_array()) added_tokens = content.at("added_tokens");
    const json padding = value(content, "padding");
    if (padding.is_object() && value(padding, "direction") == json("Left"))
      throw DataError("prior: {}: 'padding' has the direction Left; supported: Right", whole.string());
  } else {
    out.vocabulary_file = folder / "vocab.json";
    for (const char* name : {"vocab.json", "merges.txt"}) {
      if (fs::exists(folder / name, ignored)) continue;
      throw NotFoundError(
          "prior: no such file: {} (nor {}), so the prompt cannot be read; fetch the whole folder",
          (folder / name).string(), whole.filename().string());
    }
    read_vocabulary(read_json_object(out.vocabulary_file), out.vocabulary_file, out);
    read_merges_file(folder / "merges.txt", out);
  }
  read_special_tokens(folder, config, added_tokens, out);
  return out;
}

}  // namespace dwgf
