#include "app/manual.hpp"

#include <sstream>

#include <dwgf/base/format.hpp>

#include "catalogue/operators.hpp"
#include "input/settings.hpp"
#include "service/launcher.hpp"

namespace dwgf {

namespace {

/// Text as it stands: roff's own characters escaped, no line taken for a request.
std::string verbatim(const std::string& text) {
  std::istringstream lines(text);
  std::string out = ".nf\n";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('.') || line.starts_with('\'')) out += "\\&";
    for (const char character : line) {
      if (character == '\\') {
        out += "\\e";
      } else if (character == '-') {
        out += "\\-";
      } else {
        out += character;
      }
    }
    out += '\n';
  }
  return out + ".fi\n";
}

constexpr const char* kExitCodes =
    "0   done\n"
    "3   done, but some images failed; the results file says why\n"
    "64  wrong usage or configuration\n"
    "65  bad input data: an image, weights, measurements\n"
    "66  an input does not exist\n"
    "70  a fault of the program\n"
    "71  a rank or a device failed, or hung\n"
    "74  reading or writing failed\n"
    "75  stopped on request; the same command goes on from there\n";

}  // namespace

std::string manual_page() {
  std::ostringstream page;
  page << ".TH DWGF 1 \"\" \"dwgf " << version() << "\" \"User Commands\"\n.SH NAME\n"
       << "dwgf \\- image restoration and inverse problems with a latent diffusion prior, on one core or a "
          "cluster\n.SH SYNOPSIS\n"
       << verbatim(
              "dwgf COMMAND [--config FILE]... [--section.key value]...\n"
              "mpirun -np 4 dwgf restore --config JOB.ini --store.out RESULTS.h5\n")
       << ".SH DESCRIPTION\n"
       << verbatim(help_text()) << ".SH COMMANDS\n";
  for (const CommandSpec& command : command_table())
    page << ".SS " << command.name << "\n" << verbatim(help_text(command));
  page << ".SH OPERATORS\n"
       << verbatim(describe_operators()) << ".SH EXIT STATUS\n"
       << verbatim(kExitCodes) << ".SH FILES\n"
       << verbatim(
              "share/dwgf/priors    the built-in priors, below the prefix of the program\n"
              "share/dwgf/jobs      jobs to begin with\n"
              "share/dwgf/slurm     batch scripts\n"
              "share/doc/dwgf       the documentation\n");
  return page.str();
}

}  // namespace dwgf
