/// A configuration file read key by key, each with its default and what is allowed of it. Private to the
/// prior layer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace dwgf {

/// Every getter throws DataError naming file, key, what was found and what is allowed. A key that is null
/// counts as missing.
class ConfigFile {
 public:
  /// @param classes allowed values of "_class_name", which may be missing.
  ConfigFile(const std::filesystem::path& file, std::initializer_list<const char*> classes);

  bool has(const char* key) const;
  bool is_null(const char* key) const;  ///< there, and null
  std::int64_t integer(const char* key, std::int64_t missing, std::int64_t least, std::int64_t most) const;
  double real(const char* key, double missing, double least, double most) const;
  bool boolean(const char* key, bool missing) const;
  std::string text(const char* key, const std::string& missing,
                   const std::vector<std::string>& allowed) const;
  /// `count` values: a list of that length, or one value for all.
  std::vector<std::int64_t> integers(const char* key, std::int64_t missing, std::size_t count,
                                     std::int64_t least, std::int64_t most) const;
  /// A list of its own length, between `shortest` and `longest`.
  std::vector<std::int64_t> list(const char* key, const std::vector<std::int64_t>& missing,
                                 std::size_t longest, std::int64_t least, std::int64_t most,
                                 std::size_t shortest = 1) const;
  std::vector<std::string> texts(const char* key, const std::vector<std::string>& missing, std::size_t count,
                                 const std::vector<std::string>& allowed) const;
  std::vector<float> reals(const char* key, std::size_t longest) const;  ///< empty where missing

  /// Refuses any value but `only` (null: any value at all) for something that this program does not
  /// implement.
  void require(const char* key, const nlohmann::json& only) const;
  void check_divides(const char* key, std::int64_t divisor, std::int64_t channels) const;

  [[noreturn]] void fail(const char* key, const std::string& found, const std::string& allowed) const;

 private:
  nlohmann::json value(const char* key) const;
  std::int64_t integer_of(const char* key, const nlohmann::json& found, std::int64_t least,
                          std::int64_t most) const;

  std::filesystem::path file_;
  nlohmann::json content_;
};

/// The class that a configuration file is of ("UNet2DModel"); empty where it does not say, or where there is
/// no such file.
std::string config_class(const std::filesystem::path& file);

}  // namespace dwgf
