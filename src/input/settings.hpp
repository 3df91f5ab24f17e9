/// The effective options of one command: every value checked against the option table, as text and as the
/// command's input (job_input.hpp).
#pragma once

#include <any>
#include <map>
#include <string>
#include <vector>

#include "input/job_input.hpp"
#include "input/option_table.hpp"

namespace dwgf {

class Settings {
 public:
  explicit Settings(const CommandSpec& command);

  /// The values as the command's own struct. @pre Input is the type of command().input
  template <class Input>
  const Input& as() const {
    return std::any_cast<const Input&>(input_);
  }

  /// Throws UsageError when the value is not allowed; `where` says where it stood ("job.ini, line 3",
  /// "command line").
  void set(const std::string& key, const std::string& value, const std::string& where);
  /// The same for a default of a preset or of a method: it does not count as given.
  void set_default(const std::string& key, const std::string& value, const std::string& where);
  /// True when the user gave it (a preset or a default does not count).
  bool given(const std::string& key) const;
  /// The value as it was written.
  const std::string& text(const std::string& key) const;

  const CommandSpec& command() const { return *command_; }
  std::vector<std::string> positionals;
  /// What of the words is allowed but probably not meant, one sentence each.
  std::vector<std::string> notes;

  /// Every effective option as an INI text that runs the same job again.
  std::string ini() const;
  /// Every option as `key = value`, a line each, those of this one run included.
  std::string listing() const;
  /// Of those lines the ones that decide what a result is.
  std::string identity() const;
  /// The keys that both have as identity and in which they differ, as "key: this value, other value".
  std::vector<std::string> differences(const Settings& other) const;

 private:
  struct Value {
    std::string text;
    bool given = false;
  };
  const OptionSpec& spec(const std::string& key) const;

  const CommandSpec* command_;
  std::any input_;
  std::map<std::string, Value> values_;
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
