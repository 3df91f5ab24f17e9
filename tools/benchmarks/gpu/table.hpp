/// The rows that tools/check-gpu collects: one line each on standard output, "what TAB value TAB unit TAB
/// verdict"; the verdict is good, WRONG, or - for what is only measured.
#pragma once

#include <string>

namespace dwgf::gpu {

class Table {
 public:
  /// A row with its verdict.
  void check(const std::string& what, double value, const std::string& unit, bool good);
  /// A row that is only measured.
  void tell(const std::string& what, double value, const std::string& unit);
  bool all_good() const { return all_good_; }

 private:
  bool all_good_ = true;
};

}  // namespace dwgf::gpu
