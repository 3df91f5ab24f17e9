#include "report/html.hpp"

#include <dwgf/base/error.hpp>

#include "base/printable.hpp"

namespace dwgf {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

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
