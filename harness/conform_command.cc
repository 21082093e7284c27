// hobbs conform: conformance cases on the locks of an agent, run as a campaign over one driver.
#include <fmt/format.h>

#include <algorithm>

#include "harness/commands.h"
#include "harness/conform/agent_command.h"
#include "harness/conform/case_driver.h"
#include "harness/exit_code.h"
#include "harness/glob.h"
#include "harness/output.h"
#include "scenarios/cases/shipped.h"

namespace hobbs {
namespace {

// Every case ends by itself long before; only --budget is meant to cut a run short.
constexpr std::chrono::minutes kBudget{10};

/// Of the file, or those that come with hobbs.
std::vector<ConformanceCase> read_cases(const Options& options) {
  if (options.cases.empty()) return parse_cases(shipped_cases()).cases;
  const FileText file = read_file(options.cases);
  if (!file.error.empty()) throw UsageError(file.error);
  CaseFile parsed = parse_cases(file.text);
  if (!parsed.error.empty()) throw UsageError(options.cases + ": " + parsed.error);
  return std::move(parsed.cases);
}

/// The cases whose lock is chosen; names near matches if there are none.
std::vector<ConformanceCase> choose_cases(std::vector<ConformanceCase> cases,
                                          const std::string& locks) {
  std::vector<std::string> names;
  for (const ConformanceCase& one : cases) {
    if (std::find(names.begin(), names.end(), one.lock) == names.end()) names.push_back(one.lock);
  }
  std::erase_if(cases, [&](const ConformanceCase& one) { return !glob_match(locks, one.lock); });
  if (!cases.empty()) return cases;
  const std::vector<std::string> near = near_matches(locks, names);
  throw NothingToRun(fmt::format("no case is for a lock that matches '{}'{}", locks,
                                 near.empty() ? "" : "; near: ") +
                     fmt::format("{}", fmt::join(near, ", ")));
}

}  // namespace

int conform_command(const Options& options, const std::string& program) {
  if (const AgentCommand agent = find_agent(options.agent); !agent.error.empty()) {
    throw UsageError(agent.error);
  }
  CaseOptions case_options;
  case_options.agent = options.agent;
  case_options.differences = shipped_differences();
  case_options.jobs = options.jobs;
  Drivers drivers;
  drivers.push_back(
      {case_driver(choose_cases(read_cases(options), options.locks), case_options), 1, true});
  Options campaign = options;
  campaign.locks = "*";
  campaign.budget = options.budget.value_or(kBudget);
  return run_command(campaign, {agent_subject(options.agent)}, drivers, program);
}

}  // namespace hobbs
