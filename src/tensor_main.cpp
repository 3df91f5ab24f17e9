// The tensor program: all of dwgf, LibTorch included. The program that users start becomes it, and its path
// is then argv[0]; started by itself it does the same work.
#include "app/program.hpp"
#include "tensor_commands.hpp"

int main(int argc, char** argv) {
  dwgf::ProgramParts parts{.tensor_commands = dwgf::tensor_commands()};
  if (argc > 0 && argv[0][0] == '/') parts.front = argv[0];
  return dwgf::program(argc, argv, parts);
}
