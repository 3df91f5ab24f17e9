#include "temporary_directory.hpp"

namespace {
[[maybe_unused]] const auto* const environment =
    testing::AddGlobalTestEnvironment(new dwgf::TemporaryDirectory);
}
