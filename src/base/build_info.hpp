/// What this program was built from, by what and how.
#pragma once

namespace dwgf {

struct BuildInfo {
  const char* version;   ///< of the project: "0.1.0"
  const char* revision;  ///< git's, "-dirty" where files had changed; "none" of sources without git
  const char* compiler;  ///< with its version and its flags
  const char* torch;     ///< LibTorch's version
};

BuildInfo build_info();

}  // namespace dwgf
