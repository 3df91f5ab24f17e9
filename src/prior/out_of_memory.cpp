#include "prior/out_of_memory.hpp"

#include <new>
#include <regex>

#include <dwgf/base/error.hpp>

namespace dwgf {

std::optional<std::string> shortage_of_memory(const std::exception& error, std::int64_t micro_batch) {
  const std::string text = error.what();
  // LibTorch has a class of its own for devices only; its words for the CPU and for devices are these.
  static const std::regex asked("[Tt]ried to allocate ([0-9.]+ ?[A-Za-z]+)");
  std::smatch found;
  const bool told = std::regex_search(text, found, asked);
  if (!told && !dynamic_cast<const std::bad_alloc*>(&error)) return std::nullopt;
  const std::string needed = told ? concat(found[1].str(), " more were needed") : "no more could be had";
  const std::string advice =
      micro_batch > 1 ? concat("flow.micro_batch = ", micro_batch / 2, " in place of ", micro_batch)
                      : std::string("fewer ranks on this host (flow.micro_batch is 1 already)");
  return concat("out of memory: ", needed, "; try ", advice);
}

}  // namespace dwgf
