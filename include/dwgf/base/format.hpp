/// Sentences with values in them: `formatted("a snapshot has {} bytes", n)`. Every `{}` is replaced by the
/// next value, as an output stream writes it; `{{` and `}}` stand for themselves. That there are as many
/// values as places is checked at compile time.
#pragma once

#include <cstddef>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>

namespace dwgf {

/// Returns the number of `{}` in `text`. Throws where a brace stands alone; in a constant expression, which
/// is how literals are checked, that does not compile.
constexpr std::size_t count_places(std::string_view text) {
  std::size_t places = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' && text[i] != '}') continue;
    const char next = i + 1 < text.size() ? text[i + 1] : ' ';
    if (text[i] == '{' && next == '}') {
      ++places;
    } else if (next != text[i]) {
      throw "a brace that stands alone: write it twice";
    }
    ++i;
  }
  return places;
}

/// A literal with as many places as there are Values.
template <class... Values>
struct FormatText {
  consteval FormatText(const char* literal) : text(literal) {
    if (count_places(text) != sizeof...(Values)) throw "another number of values than of places";
  }
  std::string_view text;
};

/// Writes what stands before the next place of `rest`, or all where there is none, and takes it off with the
/// place.
void write_to_next_place(std::ostream& out, std::string_view& rest);

template <class... Values>
std::string formatted(FormatText<std::type_identity_t<Values>...> text, const Values&... values) {
  std::ostringstream out;
  std::string_view rest = text.text;
  ((write_to_next_place(out, rest), out << values), ...);
  write_to_next_place(out, rest);
  return out.str();
}

}  // namespace dwgf
