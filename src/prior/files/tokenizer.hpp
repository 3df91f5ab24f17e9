/// CLIP's tokenizer: a text as the numbers that CLIP's text encoder was trained on. Byte-level byte-pair
/// encoding (Radford et al., arXiv 2103.00020, section 2.4; Sennrich et al., arXiv 1508.07909), token for
/// token as CLIPTokenizer of transformers 5.23.0 on tokenizers 0.23. Characters that Unicode added after the
/// version of the utf8proc in use (2.8: Unicode 15.0) are the exception.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dwgf {

/// A token that is looked for in the text before anything else is done to it.
struct SpecialToken {
  std::string content;
  bool normalized = false;  ///< looked for after normalisation, not before
};

/// A tokenizer's files, checked.
struct TokenizerFiles {
  std::filesystem::path vocabulary_file;  ///< tokenizer.json or vocab.json, for messages
  std::unordered_map<std::string, std::int64_t> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  ///< by rank
  std::vector<SpecialToken> special;                        ///< contents differ and are in the vocabulary
  std::string bos, eos, unknown, pad;                       ///< in the vocabulary too
  std::optional<std::int64_t> max_length;                   ///< model_max_length, where given
};

/// Reads a folder as transformers does: tokenizer.json where there is one, else vocab.json and merges.txt;
/// tokenizer_config.json, special_tokens_map.json and added_tokens.json where there. Throws NotFoundError for
/// a file that is missing, DataError for contents that are wrong or not supported.
TokenizerFiles read_tokenizer_files(const std::filesystem::path& folder);

class Tokenizer {
 public:
  /// Throws what read_tokenizer_files does.
  explicit Tokenizer(const std::filesystem::path& folder);

  const std::filesystem::path& vocabulary_file() const { return vocabulary_file_; }
  /// The largest number of a token, plus one.
  std::int64_t vocabulary_size() const { return vocabulary_size_; }
  /// model_max_length, where the tokenizer's configuration gives one.
  std::optional<std::int64_t> max_length() const { return max_length_; }

  /// The text's tokens, whatever their number and without marks. Throws UsageError where the text is not
  /// UTF-8.
  std::vector<std::int64_t> tokens(std::string_view text) const;
  /// bos, tokens, eos, padding: `length` numbers, the text cut short where it has more tokens.
  /// @pre length >= 2
  std::vector<std::int64_t> encode(std::string_view text, std::int64_t length) const;

 private:
  struct Merge {
    std::int64_t rank = 0;
    std::int64_t token = 0;
  };
  struct Pattern {
    std::string text;
    std::int64_t token = 0;
  };

  const Merge* merge(std::int64_t left, std::int64_t right) const;
  void append_split(std::string_view normalized, std::vector<std::int64_t>& out) const;
  void append_word(std::string_view word, std::vector<std::int64_t>& out) const;
  template <class Between>
  void split_at(const std::vector<Pattern>& patterns, std::string_view text, std::vector<std::int64_t>& out,
                Between between) const;

  std::filesystem::path vocabulary_file_;
  std::int64_t vocabulary_size_ = 0;
  std::optional<std::int64_t> max_length_;
  std::int64_t bos_ = 0, eos_ = 0, pad_ = 0;
  std::array<std::int64_t, 256> byte_tokens_{},
      last_byte_tokens_{};                           // of a byte, inside and at the end of a word
  std::unordered_map<std::uint64_t, Merge> merges_;  // of the pair (left << 32 | right)
  std::vector<Pattern> raw_patterns_, normalized_patterns_;
};

}  // namespace dwgf
