/// The effective options of one command: every value checked against the option table, with where it came
/// from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "input/option_table.hpp"

namespace dwgf {

class Settings {
 public:
  explicit Settings(const CommandSpec& command);

  /// Throws UsageError when the value is not allowed; `where` says where it stood ("job.ini, line 3",
  /// "command line").
  void set(const std::string& key, const std::string& value, const std::string& where);
  /// True when the user gave it (a preset or a default does not count).
  bool given(const std::string& key) const;

  const std::string& text(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  std::uint64_t unsigned_integer(const std::string& key) const;
  double real(const std::string& key) const;
  bool flag(const std::string& key) const;

  const CommandSpec& command() const { return *command_; }
  std::vector<std::string> positionals;

  /// Every effective option as an INI text that runs the same job again.
  std::string ini() const;
  /// The lines of that text that decide what a result is.
  std::string identity() const;
  /// The keys that both have as identity and in which they differ, as "key: this value, other value".
  std::vector<std::string> differences(const Settings& other) const;

 private:
  const OptionSpec& spec(const std::string& key) const;
  struct Value {
    std::string text;
    std::string where;
    bool given = false;
  };
  const CommandSpec* command_;
  std::map<std::string, Value> values_;
  friend Settings parse_settings(const CommandSpec&, const std::vector<std::string>&);
  friend Settings parse_job_text(const std::string&);
};

/// Command-line arguments after the command's name -> settings. Order of precedence: command line, later
/// --config files, earlier ones, the preset, defaults. Throws UsageError (unknown key with the nearest known
/// one, value out of range, with file and line) and NotFoundError (config file missing).
Settings parse_settings(const CommandSpec& command, const std::vector<std::string>& arguments);

/// The `job` attribute of a results file -> the settings of the restore that made it. Throws DataError.
Settings parse_job_text(const std::string& ini);

/// The text of `dwgf --help` and `dwgf COMMAND --help`.
std::string help_text();
std::string help_text(const CommandSpec& command);

}  // namespace dwgf
