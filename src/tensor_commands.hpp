/// The functions of the commands that compute with tensors, for the table of app/commands.
#pragma once

#include <span>

#include "app/commands.hpp"

namespace dwgf {

std::span<const TensorCommand> tensor_commands();

}  // namespace dwgf
