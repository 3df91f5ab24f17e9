#include <new>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "prior/oom_guard.hpp"

namespace dwgf {
namespace {

TEST(OutOfMemory, SaysHowMuchWasMissingAndWhatToChoose) {
  std::string text;
  try {
    at::empty({std::int64_t{1} << 45}, at::kDouble);  // 256 TiB: beyond any address space here
  } catch (const std::exception& error) {
    text = shortage_of_memory(error, 8).value_or("not recognised: " + std::string(error.what()));
  }
  EXPECT_NE(text.find("281474976710656"), std::string::npos) << text;
  EXPECT_NE(text.find("flow.micro_batch = 4 in place of 8"), std::string::npos) << text;
}

TEST(OutOfMemory, KnowsTheWordsForDevicesAndTheSystemsOwnError) {
  const std::runtime_error device("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has ...");
  EXPECT_NE(shortage_of_memory(device, 1)->find("20.00 MiB"), std::string::npos);
  EXPECT_TRUE(shortage_of_memory(std::bad_alloc(), 2).has_value());
  EXPECT_FALSE(shortage_of_memory(std::runtime_error("anything else"), 2).has_value());
}

TEST(OutOfMemory, KnowsTheWordsOfADevicesLibrariesWhereItIsToldThem) {
  const std::runtime_error error("no engine");
  const ShortageWords words = [](const std::string& text) { return text == "no engine"; };
  EXPECT_FALSE(shortage_of_memory(error, 2).has_value());
  EXPECT_NE(shortage_of_memory(error, 2, words)->find("flow.micro_batch = 1 in place of 2"),
            std::string::npos);
  EXPECT_FALSE(shortage_of_memory(std::runtime_error("anything else"), 2, words).has_value());
}

}  // namespace
}  // namespace dwgf
