/// A finished job that several tests only look at: 3 pictures, super-resolution, particles stored.
#pragma once

#include <optional>

#include "workplace.hpp"

namespace dwgf::test {

class FinishedJob : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new_folder("finished");
    std::filesystem::create_directories(pictures() / "inner");
    make_picture(pictures() / "a.png", 1);
    make_picture(pictures() / "b c.png", 2);
    make_picture(pictures() / "inner/d.png", 3);
    expect_code(run(0, job()), 0);
  }

  static std::filesystem::path pictures() { return folder / "pictures"; }
  static std::filesystem::path results() { return folder / "r.h5"; }
  static Arguments job() {
    return small_job(pictures(), results(), {"--store.particles", "float32", "--store.latents", "float64"});
  }

  inline static std::filesystem::path folder;
};

}  // namespace dwgf::test
