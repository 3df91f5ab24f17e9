/// Every option of every command in one table: what --help prints, what is accepted, which field of the
/// command's input it fills, what the `job` attribute records. Adding an option is adding a field and a row.
#pragma once

#include <any>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace dwgf {

enum class OptionKind {
  text,     ///< anything, or what `form` says
  choice,   ///< one of `choices`
  integer,  ///< within [least, most], or one of `choices`
  real,     ///< within [least, most], or one of `choices`
  flag      ///< given or not
};

struct OptionSpec {
  std::string key;  ///< "flow.steps"; flags and options without a section have no dot
  OptionKind kind = OptionKind::text;
  std::string default_value;  ///< as text; empty: none
  std::string help;           ///< with its unit
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};
  std::string form = {};  ///< what a text looks like; empty: anything goes
  /// True where the results depend on it: two runs into one file must agree in these.
  bool identity = true;
  /// True where checkpoints were written before there was this option, whose default is what they did: at its
  /// default it is left out of what they are compared by.
  bool later = false;
  /// True where it may name an HDF5 file that somebody else made.
  bool names_hdf5 = false;
  /// Fills its field of the command's input; false where the text is no value of the field.
  std::function<bool(std::any& input, const std::string& text)> assign = {};
};

struct CommandSpec {
  std::string name;
  std::string arguments;  ///< of the usage line: "RESULTS --to DIR"
  std::string summary;    ///< one line
  std::any input;         ///< its struct (job_input.hpp) with the defaults; empty: it takes no options
  std::vector<OptionSpec> options;
  int positionals = 0;            ///< how many file names it takes
  bool more_positionals = false;  ///< or any larger number
  int optional_positionals = 0;   ///< how many more it may take
};

/// The commands in the order of --help.
const std::vector<CommandSpec>& command_table();
const CommandSpec* find_command(const std::string& name);

/// Whether jobs of earlier versions name this key, which nothing reads any more. INI texts may go on naming
/// it.
bool is_retired(const std::string& key);

/// What a preset sets: pairs of key and value.
std::vector<std::pair<std::string, std::string>> preset_values(const std::string& preset);

/// What flow.method sets, over the preset: a method's published values where they differ from the table's
/// defaults.
std::vector<std::pair<std::string, std::string>> method_values(const std::string& method);

/// Whether a method (flow.method) has a use for a key.
bool applies(const std::string& key, const std::string& method);

/// "1 ... 999" or "a | b | c"; empty where anything goes.
std::string allowed_values(const OptionSpec& option);

/// What to tell somebody who asked for it.
std::string unknown_command(const std::string& name);

}  // namespace dwgf
