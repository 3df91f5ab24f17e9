#include "app/completion.hpp"

#include <sstream>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "input/option_table.hpp"

namespace dwgf {

namespace {

/// Inside single quotes of the shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

/// The options of a command as words, with those that every command of its kind takes.
std::vector<OptionSpec> options_of(const CommandSpec& command) {
  std::vector<OptionSpec> options = command.options;
  const bool is_job = command.positionals == 0;
  if (is_job) options.push_back({"config", OptionKind::text, "", "an INI file of options"});
  options.push_back({"help", OptionKind::flag, "", "the options of this command"});
  return options;
}

/// One `case` for each command: its options, and the values of each option that has a list.
void write_cases(std::ostream& out) {
  for (const CommandSpec& command : command_table()) {
    std::vector<std::string> names;
    for (const OptionSpec& option : options_of(command)) names.push_back("--" + option.key);
    out << "    " << command.name << ")\n      case \"$previous\" in\n";
    for (const OptionSpec& option : options_of(command)) {
      if (option.kind == OptionKind::flag) continue;
      out << "        --" << option.key << ") _dwgf_values " << quoted(joined(option.choices))
          << "; return ;;\n";
    }
    out << "      esac\n      _dwgf_options " << quoted(joined(names)) << " ;;\n";
  }
}

std::string command_names() {
  std::vector<std::string> names;
  for (const CommandSpec& command : command_table()) names.push_back(command.name);
  return joined(names);
}

std::string bash_script() {
  std::ostringstream out;
  out << R"(# bash completion of dwgf; made by `dwgf completion bash`.
# An empty list of values means a file name, which bash completes itself.
_dwgf_values() { if [[ -n $1 ]]; then COMPREPLY=($(compgen -W "$1" -- "$current")); fi; }
_dwgf_options() { if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$1" -- "$current")); fi; }
_dwgf() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  # --key=value comes as three words.
  if [[ $current == = ]]; then current=
  elif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W ')"
      << command_names() << R"( --help --version' -- "$current"))
    return
  fi
  case "${COMP_WORDS[1]}" in
)";
  write_cases(out);
  out << "  esac\n}\ncomplete -o default -F _dwgf dwgf\n";
  return out.str();
}

}  // namespace

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return bash_script();
  throw UsageError("'{}' is no shell that completion is made for; known is bash", shell);
}

}  // namespace dwgf
