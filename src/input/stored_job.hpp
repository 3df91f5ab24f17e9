/// The job that made a results file, as the file's attributes say it.
#pragma once

#include <map>
#include <string>

#include "input/settings.hpp"

namespace dwgf {

/// Throws DataError, naming the file `path`, where it has no job, or one that this version does not know, or
/// a damaged one.
Settings stored_job(const std::string& path, const std::map<std::string, std::string>& attributes);

/// The hash of the prior's weights among a results file's attributes; empty where there is none.
std::string stored_prior_hash(const std::map<std::string, std::string>& attributes);

/// Returns a line "\n  ..." for everything in which two jobs differ: options, their priors' weights as the
/// attributes say, and the list of images where that is not the same; empty where nothing differs.
std::string job_differences(const Settings& here, const std::map<std::string, std::string>& here_attributes,
                            const Settings& there, const std::map<std::string, std::string>& there_attributes,
                            bool same_images = true);

}  // namespace dwgf
