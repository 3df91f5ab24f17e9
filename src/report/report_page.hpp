/// The page of a report.
#pragma once

#include <string>
#include <vector>

#include "report/report_data.hpp"

namespace dwgf {

/// HTML that is well-formed XML, without a reference to anything outside of it. @pre not empty
std::string report_page(const std::vector<ReportData>& results);

}  // namespace dwgf
