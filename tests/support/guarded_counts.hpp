/// Where the parts of the guarded device count what they do.
#pragma once

#include <string>

#include "support/guarded_device.hpp"

namespace guarded {

void count_operator(const std::string& name);
void count_view();
void count_sync(const std::string& name);
void count_upload();
void count_allocation();

}  // namespace guarded
