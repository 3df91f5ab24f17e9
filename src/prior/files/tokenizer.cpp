#include "prior/files/tokenizer.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <queue>
#include <tuple>

#include <utf8proc.h>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"

namespace dwgf {
namespace {

constexpr std::string_view kContractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
constexpr std::string_view kMarks[] = {"<|startoftext|>", "<|endoftext|>"};  // in the split pattern, always

/// The character at the start of valid UTF-8, and its length in bytes.
std::pair<utf8proc_int32_t, std::size_t> first_character(std::string_view text) {
  utf8proc_int32_t character = 0;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &character);
  if (length <= 0) throw InternalError("prior: a text that was checked is not UTF-8");
  return {character, static_cast<std::size_t>(length)};
}

void append_character(utf8proc_int32_t character, std::string& out) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(character, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

void check_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t character = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &character);
    if (length <= 0) {
      throw UsageError(
          "prior.prompt is not valid UTF-8 (byte {} of {}); save the file, or set the terminal, as UTF-8",
          at + 1, text.size());
    }
    at += static_cast<std::size_t>(length);
  }
}

/// Unicode's White_Space, \s of the reference's regular expressions.
bool is_space(utf8proc_int32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

enum class Kind { space, letter, number, other };

Kind kind_of(utf8proc_int32_t character) {
  if (is_space(character)) return Kind::space;
  switch (utf8proc_category(character)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return Kind::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return Kind::number;
    default:
      return Kind::other;
  }
}

/// NFC; one blank for each run of white space; lower case, character by character (so that a final sigma is
/// as any other, and only U+0130 becomes two characters).
std::string normalize(std::string_view text) {
  utf8proc_uint8_t* raw = nullptr;
  const auto size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(text.size()), &raw,
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(raw, &std::free);
  if (size < 0) throw InternalError("prior: the prompt cannot be normalised ({})", utf8proc_errmsg(size));
  std::string_view rest(reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size));
  std::string out;
  bool after_space = false;
  while (!rest.empty()) {
    const auto [character, length] = first_character(rest);
    rest.remove_prefix(length);
    const bool space = is_space(character);
    if (space && !after_space) out += ' ';
    if (!space) append_character(utf8proc_tolower(character), out);
    if (character == 0x130) append_character(0x307, out);
    after_space = space;
  }
  return out;
}

/// The length of the longest run of one kind at the start of a text.
std::size_t run_length(std::string_view text, Kind kind) {
  std::size_t at = 0;
  while (at < text.size()) {
    const auto [character, length] = first_character(text.substr(at));
    if (kind_of(character) != kind) break;
    at += length;
  }
  return at;
}

/// The next match at the start of a text of
/// 's|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+, or 0 at white space.
std::size_t piece_length(std::string_view text) {
  for (const auto contraction : kContractions) {
    if (text.starts_with(contraction)) return contraction.size();
  }
  const auto [character, length] = first_character(text);
  const Kind kind = kind_of(character);
  if (kind == Kind::space) return 0;
  return kind == Kind::number ? length : run_length(text, kind);
}

/// The printable character that stands for a byte in the vocabulary (GPT-2's bytes_to_unicode).
std::array<std::string, 256> byte_symbols() {
  std::array<std::string, 256> symbols;
  int others = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
    append_character(itself ? byte : 256 + others++, symbols[static_cast<std::size_t>(byte)]);
  }
  return symbols;
}

}  // namespace

Tokenizer::Tokenizer(const std::filesystem::path& folder) {
  const TokenizerFiles files = read_tokenizer_files(folder);
  vocabulary_file_ = files.vocabulary_file;
  max_length_ = files.max_length;
  for (const auto& [symbol, number] : files.vocabulary)
    vocabulary_size_ = std::max(vocabulary_size_, number + 1);

  const auto& vocabulary = files.vocabulary;
  bos_ = vocabulary.at(files.bos);
  eos_ = vocabulary.at(files.eos);
  pad_ = vocabulary.at(files.pad);
  const auto number_or = [&](const std::string& symbol, std::int64_t missing) {
    const auto found = vocabulary.find(symbol);
    return found == vocabulary.end() ? missing : found->second;
  };
  const auto symbols = byte_symbols();
  const std::int64_t unknown = vocabulary.at(files.unknown);
  for (std::size_t byte = 0; byte < symbols.size(); ++byte) {
    byte_tokens_[byte] = number_or(symbols[byte], unknown);
    last_byte_tokens_[byte] = number_or(symbols[byte] + "</w>", unknown);
  }
  for (std::size_t rank = 0; rank < files.merges.size(); ++rank) {
    const auto& [left, right] = files.merges[rank];
    const auto pair = static_cast<std::uint64_t>(vocabulary.at(left)) << 32 |
                      static_cast<std::uint64_t>(vocabulary.at(right));
    merges_[pair] = {static_cast<std::int64_t>(rank), vocabulary.at(left + right)};
  }
  for (const auto& special : files.special) {
    const std::int64_t number = vocabulary.at(special.content);
    if (special.normalized) {
      normalized_patterns_.push_back({normalize(special.content), number});
    } else {
      raw_patterns_.push_back({special.content, number});
    }
  }
}

const Tokenizer::Merge* Tokenizer::merge(std::int64_t left, std::int64_t right) const {
  const auto found = merges_.find(static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint64_t>(right));
  return found == merges_.end() ? nullptr : &found->second;
}

/// Calls `between` for what is not one of the patterns, found from the left, the longest first.
template <class Between>
void Tokenizer::split_at(const std::vector<Pattern>& patterns, std::string_view text,
                         std::vector<std::int64_t>& out, Between between) const {
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Pattern* longest = nullptr;
    for (const auto& pattern : patterns) {
      if (text.substr(at).starts_with(pattern.text) &&
          (longest == nullptr || pattern.text.size() > longest->text.size())) {
        longest = &pattern;
      }
    }
    if (longest == nullptr) {
      ++at;
      continue;
    }
    if (at > begin) between(text.substr(begin, at - begin));
    out.push_back(longest->token);
    at += longest->text.size();
    begin = at;
  }
  if (text.size() > begin) between(text.substr(begin));
}

std::vector<std::int64_t> Tokenizer::tokens(std::string_view text) const {
  check_utf8(text);
  std::vector<std::int64_t> out;
  split_at(raw_patterns_, text, out, [&](std::string_view part) {
    const std::string normalized = normalize(part);
    split_at(normalized_patterns_, normalized, out, [&](std::string_view rest) { append_split(rest, out); });
  });
  return out;
}

std::vector<std::int64_t> Tokenizer::encode(std::string_view text, std::int64_t length) const {
  std::vector<std::int64_t> out = tokens(text);
  precondition(length >= 2, "room for a prompt's first and last token");
  const auto room = static_cast<std::size_t>(length);
  out.resize(std::min(out.size(), room - 2));
  out.insert(out.begin(), bos_);
  out.push_back(eos_);
  out.resize(room, pad_);
  return out;
}

void Tokenizer::append_split(std::string_view text, std::vector<std::int64_t>& out) const {
  while (!text.empty()) {
    // A mark that only lower-casing has made is a piece of its own, and then split as any other text.
    const auto* const mark = std::ranges::find_if(kMarks, [&](auto one) { return text.starts_with(one); });
    std::string_view piece = mark != std::end(kMarks) ? text.substr(0, mark->size()) : std::string_view();
    if (!piece.empty()) {
      text.remove_prefix(piece.size());
      while (!piece.empty()) {
        const std::size_t length = piece_length(piece);
        append_word(piece.substr(0, length), out);
        piece.remove_prefix(length);
      }
      continue;
    }
    const std::size_t length = piece_length(text);
    if (length == 0) {
      text.remove_prefix(first_character(text).second);
      continue;
    }
    append_word(text.substr(0, length), out);
    text.remove_prefix(length);
  }
}

/// Merges the neighbours of the lowest rank, the leftmost of them first, until no merge applies.
void Tokenizer::append_word(std::string_view word, std::vector<std::int64_t>& out) const {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  struct Symbol {
    std::int64_t token;
    std::size_t before, after;
    bool alive = true;
  };
  using Candidate = std::tuple<std::int64_t, std::size_t, std::int64_t>;  // rank, left symbol, token
  std::vector<Symbol> symbols;
  const std::size_t count = word.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    symbols.push_back({i + 1 == count ? last_byte_tokens_[byte] : byte_tokens_[byte], i == 0 ? kNone : i - 1,
                       i + 1 == count ? kNone : i + 1});
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::size_t left) {
    if (left == kNone || symbols[left].after == kNone) return;
    const auto* found = merge(symbols[left].token, symbols[symbols[left].after].token);
    if (found != nullptr) queue.emplace(found->rank, left, found->token);
  };
  for (std::size_t i = 0; i + 1 < count; ++i) consider(i);
  while (!queue.empty()) {
    const auto [rank, at, token] = queue.top();
    queue.pop();
    Symbol& left = symbols[at];
    if (!left.alive || left.after == kNone) continue;
    Symbol& right = symbols[left.after];
    const auto* found = merge(left.token, right.token);
    if (found == nullptr || found->token != token) continue;  // an older candidate
    left.token = token;
    left.after = right.after;
    right.alive = false;
    if (left.after != kNone) symbols[left.after].before = at;
    consider(left.before);
    consider(at);
  }
  for (std::size_t i = 0; i != kNone; i = symbols[i].after) out.push_back(symbols[i].token);
}

}  // namespace dwgf
