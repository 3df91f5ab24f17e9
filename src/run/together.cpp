#include <dwgf/run/together.hpp>

#include <exception>
#include <limits>
#include <optional>

namespace dwgf {

void together(Communicator& group, const std::function<void()>& work) {
  std::optional<Error> mine;
  try {
    work();
  } catch (const Error& error) {
    mine = error;
  } catch (const std::bad_alloc&) {
    mine = InternalError("out of memory; use fewer ranks on this node, or a smaller flow.micro_batch");
  } catch (const std::exception& error) {
    mine = InternalError(error.what());
  }
  // The largest of -rank names the lowest failing rank.
  std::int64_t failing = mine ? -group.rank() : std::numeric_limits<std::int64_t>::min();
  group.all_reduce_max({&failing, 1});
  if (failing == std::numeric_limits<std::int64_t>::min()) return;
  const int root = static_cast<int>(-failing);
  std::int64_t code = mine ? static_cast<std::int64_t>(mine->code()) : 0;
  group.broadcast(std::as_writable_bytes(std::span(&code, 1)), root);
  const std::string message = group.broadcast_text(mine ? mine->what() : "", root);
  throw AgreedError(static_cast<ExitCode>(code), message);
}

}  // namespace dwgf
