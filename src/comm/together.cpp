#include "comm/together.hpp"

#include "comm/agree.hpp"

namespace dwgf {

void together(Collective& group, const std::function<void()>& work) {
  try {
    agree(group, work);
  } catch (const Error& error) {
    throw AgreedError(error.code(), error.what());
  }
}

}  // namespace dwgf
