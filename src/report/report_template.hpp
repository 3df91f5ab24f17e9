/// The templates of a report's page (https://mustache.github.io), which are files beside this one.
#pragma once

namespace dwgf {

extern const char* const kReportPage;   ///< report.html
extern const char* const kReportTable;  ///< table.html, the page's partial `table`

}  // namespace dwgf
