#include "input/stored_job.hpp"

#include <dwgf/base/error.hpp>

namespace dwgf {

Settings stored_job(const std::string& path, const std::map<std::string, std::string>& attributes) {
  const auto job = attributes.find("job");
  if (job == attributes.end())
    throw DataError(concat(path, " does not say which job made it (it has no attribute 'job')"));
  try {
    return parse_job_text(job->second);
  } catch (const DataError& error) {
    throw DataError(concat(path, ": ", error.what()));
  }
}

std::string stored_prior_hash(const std::map<std::string, std::string>& attributes) {
  const auto hash = attributes.find("prior_sha256");
  return hash == attributes.end() ? std::string() : hash->second;
}

}  // namespace dwgf
