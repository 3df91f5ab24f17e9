#include "gpu/table.hpp"

#include <cstdio>

namespace dwgf::gpu {
namespace {

void print(const std::string& what, double value, const std::string& unit, const char* verdict) {
  std::printf("%s\t%.9g\t%s\t%s\n", what.c_str(), value, unit.c_str(), verdict);
  std::fflush(stdout);  // a block may be ended at its time limit
}

}  // namespace

void Table::check(const std::string& what, double value, const std::string& unit, bool good) {
  print(what, value, unit, good ? "good" : "WRONG");
  all_good_ = all_good_ && good;
}

void Table::tell(const std::string& what, double value, const std::string& unit) {
  print(what, value, unit, "-");
}

}  // namespace dwgf::gpu
