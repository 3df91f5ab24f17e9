#include <sstream>

#include <dwgf/base/error.hpp>

#include "input/settings.hpp"

namespace dwgf {

namespace {

std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::istringstream words(text);
  std::string word, out, line;
  while (words >> word) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > width) {
      out += line + "\n" + std::string(indent, ' ');
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return out + line;
}

}  // namespace

std::string help_text() {
  std::ostringstream out;
  out << "dwgf: image restoration and other inverse problems y = A(x) + noise with a latent diffusion "
         "prior,\n"
         "by a Wasserstein gradient flow of interacting particles (arXiv 2509.19276), on one core or a "
         "cluster.\n\n"
         "usage: dwgf COMMAND [--config FILE]... [--section.key value]...\n"
         "       mpirun -np 4 dwgf restore --config jobs/quickstart.ini\n\ncommands:\n";
  for (const CommandSpec& command : command_table()) {
    out << "  " << command.name << std::string(17 - command.name.size(), ' ')
        << wrapped(command.summary, 19, 105) << "\n";
  }
  out << "\n`dwgf COMMAND --help` explains a command; `dwgf --version` prints the version, `dwgf --manual` "
         "the manual page.\n";
  return out.str();
}

std::string help_text(const CommandSpec& command) {
  std::ostringstream out;
  out << "usage: dwgf " << command.name << (command.arguments.empty() ? "" : " ") << command.arguments
      << "\n\n"
      << wrapped(command.summary, 0, 100) << "\n";
  if (command.name == "restore") {
    out << "\nOptions come from INI files ([flow], then steps = 50) and the command line; later files win, "
           "the command line last.\n";
  }
  std::string current = "-";
  for (const OptionSpec& option : command.options) {
    const std::string section = option.key.substr(0, option.key.find('.') + 1);
    if (section != current) out << "\n";
    current = section;
    const bool is_flag = option.kind == OptionKind::flag;
    const std::string head = formatted("  --{}{}", option.key, is_flag ? "" : " VALUE");
    // A long key has a line of its own, so that the explanations stay in their column.
    out << head << (head.size() < 32 ? std::string(32 - head.size(), ' ') : "\n" + std::string(32, ' '))
        << wrapped(option.help, 32, 110) << "\n";
    if (is_flag) continue;
    const std::string allowed = allowed_values(option);
    std::string details =
        formatted("default: {}", option.default_value.empty() ? "none" : option.default_value);
    if (!allowed.empty()) details += formatted("; allowed: {}", allowed);
    out << std::string(32, ' ') << wrapped(details, 32, 110) << "\n";
  }
  out << "\n  --help                        this text\n";
  return out.str();
}

}  // namespace dwgf
