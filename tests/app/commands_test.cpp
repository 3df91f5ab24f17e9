#include "app/commands.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tensor_commands.hpp"

namespace dwgf::test {
namespace {

TEST(SerialCommands, HaveARowEachAndOneFunction) {
  EXPECT_EQ(commands().size(), command_table().size());
  for (const CommandSpec& spec : command_table()) {
    const Command& command = command_named(spec.name);
    const auto functions = std::ranges::count(tensor_commands(), spec.name, &TensorCommand::name);
    EXPECT_EQ(functions + (command.run ? 1 : 0), 1) << spec.name;
  }
  EXPECT_THROW(command_named("none of this name"), InternalError);
}

}  // namespace
}  // namespace dwgf::test
