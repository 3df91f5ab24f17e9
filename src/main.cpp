// The program that users start. It runs without LibTorch and hands over to the tensor program for the
// commands that compute.
#include "app/program.hpp"

int main(int argc, char** argv) {
  return dwgf::program(argc, argv);
}
