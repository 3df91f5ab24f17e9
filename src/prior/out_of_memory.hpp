/// Memory that could not be had, as something a user can act on.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace dwgf {

/// What to tell if `error` says that memory could not be had, from the system or from LibTorch: the size that
/// was asked for, and what to choose smaller. Nothing for any other error.
std::optional<std::string> shortage_of_memory(const std::exception& error, std::int64_t micro_batch);

}  // namespace dwgf
