#include <cstdint>

#include <dwgf/base/error.hpp>
#include <dwgf/run/html.hpp>

namespace dwgf {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// The length of the UTF-8 character at the beginning of `text`; 0 where there is none, or none that XML may hold.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' ? 1 : 0;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  std::uint32_t code = first & (0x7Fu >> length);
  for (std::size_t k = 1; k < length; ++k) {
    if ((byte(k) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(k) & 0x3Fu);
  }
  const bool too_long = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool no_character = (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF || (code & 0xFFFE) == 0xFFFE;
  return too_long || no_character || (code >= 0x80 && code < 0xA0) ? 0 : length;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0) {
      out += kReplacement;
    } else if (text[0] == '&') {
      out += "&amp;";
    } else if (text[0] == '<') {
      out += "&lt;";
    } else if (text[0] == '>') {
      out += "&gt;";
    } else if (text[0] == '"') {
      out += "&quot;";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

void Html::begin(const std::string& tag, const Attributes& attributes) {
  out_ += "<" + tag;
  for (const auto& [name, value] : attributes) out_ += concat(" ", name, "=\"", escaped(value), "\"");
}

Html& Html::open(const std::string& tag, const Attributes& attributes) {
  begin(tag, attributes);
  out_ += ">";
  open_.push_back(tag);
  return *this;
}

Html& Html::close() {
  if (open_.empty()) throw InternalError("an HTML element is closed that was not opened");
  out_ += "</" + open_.back() + ">\n";
  open_.pop_back();
  return *this;
}

Html& Html::text(std::string_view text) {
  out_ += escaped(text);
  return *this;
}

Html& Html::raw(std::string_view markup) {
  out_ += markup;
  return *this;
}

Html& Html::element(const std::string& tag, std::string_view text, const Attributes& attributes) {
  begin(tag, attributes);
  out_ += concat(">", escaped(text), "</", tag, ">");
  return *this;
}

Html& Html::empty(const std::string& tag, const Attributes& attributes) {
  begin(tag, attributes);
  out_ += "/>";
  return *this;
}

}  // namespace dwgf
