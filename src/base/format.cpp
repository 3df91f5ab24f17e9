#include <dwgf/base/format.hpp>

namespace dwgf {

void write_to_next_place(std::ostream& out, std::string_view& rest) {
  while (!rest.empty()) {
    const std::size_t brace = rest.find_first_of("{}");
    out << rest.substr(0, brace);
    if (brace == std::string_view::npos) {
      rest = {};
      return;
    }
    const std::string_view pair = rest.substr(brace, 2);
    rest.remove_prefix(brace + 2);
    if (pair == "{}") return;
    out << pair.front();
  }
}

}  // namespace dwgf
