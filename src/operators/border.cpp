#include "operators/border.hpp"

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {

Border parse_border(const OperatorArguments& arguments, std::size_t index) {
  if (arguments.count() <= index) return Border::reflect;
  const std::string& name = arguments.text(index);
  if (name == "reflect") return Border::reflect;
  if (name == "zero") return Border::zero;
  if (name == "circular") return Border::circular;
  const std::string nearest = nearest_name(name, {"reflect", "zero", "circular"});
  arguments.refuse("unknown border '" + name + "'" + (nearest.empty() ? "" : " (nearest: '" + nearest + "')"),
                   "choose reflect, zero or circular");
}

void require_kernel_fits(const OperatorArguments& arguments, Border border, std::int64_t height,
                         std::int64_t width, const ImageShape& image) {
  // A zero border needs no pixel outside; its bound only keeps a mistyped size from filling the memory.
  constexpr std::int64_t any = 65535;
  const auto most = [&](std::int64_t side) {
    return border == Border::zero ? any : (border == Border::reflect ? 2 * side - 1 : 2 * side + 1);
  };
  const bool tall = height > most(image.height);
  if (!tall && width <= most(image.width)) return;
  arguments.refuse(formatted("a kernel of size {} is too large for an image of {} with this border",
                             tall ? height : width, to_text(image)),
                   formatted("size can be {} at most", most(tall ? image.height : image.width)));
}

}  // namespace dwgf
