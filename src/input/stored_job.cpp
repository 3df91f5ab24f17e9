#include "input/stored_job.hpp"

#include <dwgf/base/error.hpp>

namespace dwgf {

Settings stored_job(const std::string& path, const std::map<std::string, std::string>& attributes) {
  const auto job = attributes.find("job");
  if (job == attributes.end())
    throw DataError("{} does not say which job made it (it has no attribute 'job')", path);
  try {
    return parse_job_text(job->second);
  } catch (const DataError& error) {
    throw DataError("{}: {}", path, error.what());
  }
}

namespace {

std::string stored_hash(const std::map<std::string, std::string>& attributes, const char* name) {
  const auto hash = attributes.find(name);
  return hash == attributes.end() ? std::string() : hash->second;
}

}  // namespace

std::string stored_prior_hash(const std::map<std::string, std::string>& attributes) {
  return stored_hash(attributes, "prior_sha256");
}

std::string job_differences(const Settings& here, const std::map<std::string, std::string>& here_attributes,
                            const Settings& there, const std::map<std::string, std::string>& there_attributes,
                            bool same_images) {
  std::string text;
  for (const std::string& difference : here.differences(there)) text += "\n  " + difference;
  if (stored_prior_hash(here_attributes) != stored_prior_hash(there_attributes))
    text += "\n  the prior's weights";
  if (stored_hash(here_attributes, "moments_sha256") != stored_hash(there_attributes, "moments_sha256"))
    text += "\n  the prior's moments";
  if (!same_images) text += "\n  the list of images";
  return text;
}

}  // namespace dwgf
