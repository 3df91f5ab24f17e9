#include <dwgf/run/together.hpp>

#include <dwgf/comm/agree.hpp>

namespace dwgf {

void together(Communicator& group, const std::function<void()>& work) {
  try {
    agree(group, work);
  } catch (const Error& error) {
    throw AgreedError(error.code(), error.what());
  }
}

}  // namespace dwgf
