/// What the prior's tests share: goldens, temporary folders, a writer of safetensors, and the error of a
/// comparison.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/prior.hpp>

namespace dwgf::test {

namespace fs = std::filesystem;

fs::path data(const std::string& name);

/// All tensors of a file, copied.
std::map<std::string, at::Tensor> read_all(const fs::path& path);

/// Into `folder`: the text encoders of `like` (sd1, sd2, sdxl) with the tokenizers that they go with.
void copy_text(const std::string& like, const fs::path& folder);

/// The noise path of a diffusion model.
const DdpmSchedule& schedule_of(const Prior& prior);
inline Level level_at(const Prior& prior, std::int64_t time) {
  return schedule_of(prior).level(time);
}

/// max |a - b| / max |b|
double relative_error(const at::Tensor& a, const at::Tensor& b);

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void write_bytes(const fs::path& path, const std::string& bytes);
std::string read_bytes(const fs::path& path);

/// A safetensors file of this header and data, whatever they are.
std::string with_header(const std::string& header, const std::string& data);
/// A valid file of these tensors, in the order of their names.
std::string safetensors_bytes(const std::map<std::string, at::Tensor>& tensors);

/// The message of the error that `action` throws; a failure of the test where it throws none or another type.
template <class Expected, class Action>
std::string message_of(Action action) {
  try {
    action();
    ADD_FAILURE() << "no error was thrown";
  } catch (const Expected& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "an error of another type: " << error.what();
  }
  return "";
}

}  // namespace dwgf::test
