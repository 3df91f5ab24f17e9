#include "data/detail/npy_header.hpp"

#include <set>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

// A reader of the small part of Python's syntax that numpy writes.
class Reader {
 public:
  Reader(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  [[noreturn]] void fail(const std::string& expected) const {
    throw DataError(
        "{} has a damaged .npy header: {} expected at character {} of the header; write it again with "
        "numpy.save",
        path_, expected, at_);
  }
  bool take(std::string_view word) {
    skip_blanks();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  void need(std::string_view word) {
    if (!take(word)) fail(formatted("'{}'", word));
  }
  std::string text_literal() {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("a text");
    const auto end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos || end - at_ > 64) fail("the end of a short text");
    const auto inside = text_.substr(at_ + 1, end - at_ - 1);
    if (inside.find('\\') != std::string_view::npos) fail("a text without escapes");
    at_ = end + 1;
    return std::string(inside);
  }
  std::int64_t number() {
    skip_blanks();
    std::int64_t value = 0;
    const std::size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = 10 * value + (text_[at_] - '0');
      if (value > std::int64_t{1} << 48) fail("an extent that fits a disk");
    }
    if (at_ == begin) fail("a number");
    return value;
  }
  void need_end() {
    skip_blanks();
    if (at_ != text_.size()) fail("the end");
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

std::vector<std::int64_t> read_shape(Reader& reader) {
  std::vector<std::int64_t> shape;
  reader.need("(");
  while (!reader.take(")")) {
    if (shape.size() == 32) reader.fail("at most 32 axes");
    shape.push_back(reader.number());
    if (reader.take(",")) continue;
    if (shape.size() == 1) reader.fail("',' (a tuple)");
    reader.need(")");
    break;
  }
  return shape;
}

}  // namespace

NpyHeader parse_npy_header(std::string_view text, const std::string& path) {
  Reader reader(text, path);
  NpyHeader header;
  std::set<std::string> keys;
  reader.need("{");
  while (!reader.take("}")) {
    const std::string key = reader.text_literal();
    if (!keys.insert(key).second) reader.fail(formatted("every key once ('{}' is there twice) and not", key));
    reader.need(":");
    if (key == "descr") {
      header.type = reader.text_literal();
    } else if (key == "fortran_order") {
      header.fortran_order = reader.take("True");
      if (!header.fortran_order) reader.need("False");
    } else if (key == "shape") {
      header.shape = read_shape(reader);
    } else {
      reader.fail("'descr', 'fortran_order' or 'shape' as key");
    }
    if (reader.take(",")) continue;
    reader.need("}");
    break;
  }
  reader.need_end();
  if (keys.size() != 3) reader.fail("each of 'descr', 'fortran_order' and 'shape'");
  return header;
}

}  // namespace dwgf
