// hobbs conform: conformance cases on the locks of an agent, or random calls on them, run as a
// campaign over one driver.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "harness/commands.h"
#include "harness/conform/agent_command.h"
#include "harness/conform/case_driver.h"
#include "harness/conform/conform_driver.h"
#include "harness/conform/world.h"
#include "harness/exit_code.h"
#include "harness/foreign/foreign_driver.h"
#include "harness/foreign/programs.h"
#include "harness/glob.h"
#include "harness/janitor.h"
#include "harness/machine.h"
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
  check_each("lock of the cases", locks, names);
  std::erase_if(cases, [&](const ConformanceCase& one) { return !glob_match(locks, one.lock); });
  return cases;
}

/// The locks that random calls can be made on: the seeds', and those of the program's own agent.
Catalog random_subjects(const Options& options, const Catalog& catalog) {
  Catalog subjects = agent_catalog();
  if (options.agent != "cpp") return subjects;
  for (const LockSpec& lock : catalog) {
    std::erase_if(subjects, [&](const LockSpec& one) { return one.name == lock.name; });
    subjects.push_back(lock);
  }
  return subjects;
}

/// UsageError unless there is such an agent, and it serves.
void check_agent(const std::string& name) {
  const AgentCommand agent = find_agent(name);
  if (!agent.error.empty()) throw UsageError(agent.error);
  if (!name.starts_with("exec:")) return;
  const Janitor janitor;
  const std::string why = try_agent(agent.words, janitor.directory());
  if (!why.empty()) throw UsageError(fmt::format("'{}' is no agent: {}", name, why));
}

/// Without the cases of locks that this machine has no place for, which nobody could be blamed for.
std::vector<ConformanceCase> leave_out_impossible(std::vector<ConformanceCase> cases) {
  const Ability memory = shared_memory();
  if (memory.there) return cases;
  std::erase_if(cases, [](const ConformanceCase& one) { return one.lock.starts_with("mp."); });
  const std::string sentence = "/dev/shm (" + memory.found + "): " + memory.without;
  if (cases.empty()) throw NothingToRun(sentence);
  std::fprintf(stderr, "hobbs: %s\n", sentence.c_str());
  return cases;
}

/// What searches of a model can be asked for, and processes of a foreign program cannot.
void check_traced_search(const Options& options) {
  if (!options.memory.empty() || (!options.strategy.empty() && options.strategy != "bounded")) {
    throw UsageError(
        "step --lock runs real processes: their memory is this machine's, and the "
        "only strategy is bounded");
  }
  constexpr std::uint32_t kMostAcquisitions = 64;
  if (options.workers > foreign::kWorkersMax || options.acquisitions > kMostAcquisitions ||
      options.kills > 1) {
    throw UsageError(fmt::format(
        "step --lock runs at most {} workers with {} acquisitions each, of whom one may die",
        foreign::kWorkersMax, kMostAcquisitions));
  }
}

/// The locks that several processes of an agent can share: the seeds', and by their names also
/// those of this program, which an agent made from it serves.
int trace_agent(const Options& options, const Catalog& catalog, const std::string& program) {
  check_traced_search(options);
  Catalog subjects = agent_catalog();
  std::erase_if(subjects, [](const LockSpec& lock) { return !lock.claims.process_shared; });
  if (options.locks_named) {
    for (const LockSpec& lock : catalog) {
      const bool known = std::any_of(subjects.begin(), subjects.end(),
                                     [&](const LockSpec& one) { return one.name == lock.name; });
      if (!known) subjects.push_back(lock);
    }
  }
  Drivers drivers;
  drivers.push_back({foreign_driver(options.lock), 1});
  return run_command(options, subjects, drivers, program);
}

int run_random(const Options& options, const Catalog& catalog, const std::string& program) {
  Drivers drivers;
  drivers.push_back({conform_driver({options.agent, ""}), 1});
  return run_command(options, random_subjects(options, catalog), drivers, program);
}

}  // namespace

int verify_agent_command(const Options& options, const Catalog& catalog,
                         const std::string& program) {
  if (!options.lock.starts_with("exec:")) {
    throw UsageError("--lock takes exec:COMMAND; the locks of this program are chosen by --locks");
  }
  if (options.command != "verify" && options.command != "step") {
    throw UsageError(options.command +
                     " needs the lock's code in its own processes, and an agent has it in another; "
                     "verify --lock '" +
                     options.lock + "' judges its calls, and step --lock traces its processes");
  }
  check_agent(options.lock);
  if (options.command == "step") return trace_agent(options, catalog, program);
  Options conform = options;
  conform.agent = options.lock;
  conform.drivers = "*";
  return run_random(conform, {}, program);
}

int conform_command(const Options& options, const Catalog& catalog, const std::string& program) {
  check_agent(options.agent);
  if (options.random) return run_random(options, catalog, program);
  CaseOptions case_options;
  case_options.agent = options.agent;
  case_options.differences = shipped_differences();
  case_options.jobs = options.jobs;
  Drivers drivers;
  drivers.push_back(
      {case_driver(leave_out_impossible(choose_cases(read_cases(options), options.locks)),
                   case_options),
       1, true});
  Options campaign = options;
  campaign.locks = "*";
  campaign.budget = options.budget.value_or(kBudget);
  return run_command(campaign, {agent_subject(options.agent)}, drivers, program);
}

}  // namespace hobbs
