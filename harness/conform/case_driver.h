// Conformance cases as a driver, so that a campaign runs, ends, reports and replays them as it does
// everything else. Its one subject is an agent with all of its locks.
#pragma once

#include <memory>
#include <vector>

#include "harness/conform/run_cases.h"
#include "harness/driver.h"

namespace hobbs {

/// Runs `cases` with these options; the request supplies rules, seed, time, directory and the
/// functions that listen. The lock it is given is of no account: its results name the cases' locks.
/// Uses as many threads as options.jobs says.
std::unique_ptr<Driver> case_driver(std::vector<ConformanceCase> cases, CaseOptions options);

/// What stands for an agent where a lock is asked for.
LockSpec agent_subject(const std::string& agent);

}  // namespace hobbs
