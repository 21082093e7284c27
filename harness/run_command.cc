// The commands that run a campaign, from options to report.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "harness/bazel_test.h"
#include "harness/campaign.h"
#include "harness/commands.h"
#include "harness/exit_code.h"
#include "harness/glob.h"
#include "harness/janitor.h"
#include "harness/listing.h"
#include "harness/machine.h"
#include "harness/output.h"
#include "harness/report_sink.h"
#include "reports/store.h"
#include "scenarios/rules/catalog.h"

namespace hobbs {
namespace {

constexpr std::size_t kFewNames = 8;  // That an error can list.

using std::chrono::milliseconds;

constexpr milliseconds kBudgetPerLock{20'000};
constexpr milliseconds kBudgetDefaultMax{150'000};

/// The drivers of each command. Throws UsageError if --drivers names another than its own.
std::string drivers_of(const Options& options) {
  if (options.command == "conform") return "*";
  const bool stress = options.command == "stress";
  if (stress || options.command == "explore" || options.command == "step") {
    const std::string own = stress ? "free" : options.command;
    if (glob_match(options.drivers, own)) return own;
    throw UsageError(fmt::format("{} has the driver {} only: choose others with `verify --drivers`",
                                 options.command, own));
  }
  if (options.command == "crash" && options.drivers == "*") return "free,explore,step";
  return options.drivers;
}

milliseconds default_budget(std::size_t locks, std::uint64_t seeds) {
  return std::min<milliseconds>(kBudgetDefaultMax,
                                kBudgetPerLock * static_cast<std::int64_t>(locks * seeds));
}

/// Throws UsageError for options that contradict each other.
void check_search(const Options& options) {
  const std::string& strategy = options.strategy;
  const bool bounded = strategy.empty() || strategy == "bounded" || strategy == "native";
  if (options.preemptions >= 0 && !bounded) {
    throw UsageError("--preemptions bounds --strategy bounded only, not " + strategy);
  }
  if (options.delays >= 0 && !strategy.empty() && strategy != "delay") {
    throw UsageError("--delays bounds --strategy delay only, not " + strategy);
  }
  if (options.delays >= 0 && options.preemptions >= 0) {
    throw UsageError("--delays and --preemptions bound different searches: name one of them");
  }
}

CampaignPlan plan_of(const Options& options, const Catalog& locks, const Drivers& drivers) {
  check_search(options);
  CampaignPlan plan;
  plan.locks = &locks;
  plan.drivers = &drivers;
  plan.driver_globs = drivers_of(options);
  plan.crash_only = options.command == "crash";
  plan.seeds = options.seeds;
  plan.jobs = options.jobs != 0 ? options.jobs : usable_cores();
  plan.budget = options.budget.value_or(default_budget(locks.size(), options.seeds));
  Request& request = plan.request;
  request.seed = options.seed;
  request.scenarios = options.scenarios;
  request.rules = options.rules;
  request.stop_at_first_finding = !options.keep_going;
  const bool by_all = options.command == "verify" || options.command == "crash";
  request.beside_others = by_all && options.drivers == "*";
  request.workers = options.workers;
  request.acquisitions = options.acquisitions;
  request.kills = options.kills;
  request.preemptions = options.preemptions;
  request.delays = options.delays;
  request.memory = options.memory;
  request.strategy = options.strategy;
  obey_bazel(plan, options);
  return plan;
}

/// Exit 4 in one sentence that says what was near.
[[noreturn]] void nothing_selected(const CampaignPlan& plan) {
  std::vector<std::string> scenarios;
  for (const DriverEntry& entry : *plan.drivers) {
    if (!glob_match(plan.driver_globs, entry.driver->name())) continue;
    for (const LockSpec& lock : *plan.locks) {
      if (!entry.driver->unfit(lock).empty()) continue;
      for (const ScenarioInfo& info : entry.driver->scenarios(lock)) scenarios.push_back(info.name);
    }
  }
  std::sort(scenarios.begin(), scenarios.end());
  scenarios.erase(std::unique(scenarios.begin(), scenarios.end()), scenarios.end());
  const std::vector<std::string> near = near_matches(plan.request.scenarios, scenarios);
  throw NothingToRun(fmt::format(
      "no scenario matches '{}' with rules '{}'{}", plan.request.scenarios, plan.request.rules,
      near.empty() ? "" : fmt::format("; near: {}", fmt::join(near, ", "))));
}

}  // namespace

void check_each(std::string_view kind, const std::string& globs,
                const std::vector<std::string>& names) {
  for (const std::string& glob : split_commas(globs)) {
    const bool any = std::any_of(names.begin(), names.end(),
                                 [&](const std::string& name) { return glob_match(glob, name); });
    if (any) continue;
    const std::vector<std::string> near = near_matches(glob, names);
    throw NothingToRun(fmt::format(
        "no {} matches '{}'; {}", kind, glob,
        near.empty() ? fmt::format("there are {}", names.size() <= kFewNames
                                                       ? fmt::to_string(fmt::join(names, ", "))
                                                       : fmt::to_string(names.size()))
                     : fmt::format("near: {}", fmt::join(near, ", "))));
  }
}

Catalog choose_locks(const Catalog& catalog, const std::string& globs, bool with_peers) {
  Catalog chosen;
  std::copy_if(catalog.begin(), catalog.end(), std::back_inserter(chosen),
               [&](const LockSpec& lock) {
                 return (with_peers || !lock.peer) && glob_match(globs, lock.name);
               });
  if (catalog.empty()) throw NothingToRun("this program was given no locks");
  std::vector<std::string> names;
  for (const LockSpec& lock : catalog) names.push_back(lock.name);
  check_each("lock", globs, names);
  if (chosen.empty()) throw NothingToRun("all locks that match are of other libraries: name them");
  return chosen;
}

void check_store(const std::string& file) {
  if (file.empty()) return;
  const bool there = access(file.c_str(), F_OK) == 0;
  try {
    const Store store(file);
  } catch (const StoreError& error) {
    if (!there) unlink(file.c_str());
    throw UsageError(error.what());
  }
}

int run_command(const Options& options, const Catalog& catalog, const Drivers& drivers,
                const std::string& program) {
  const Catalog locks = choose_locks(catalog, options.locks, options.locks_named);
  CampaignPlan plan = plan_of(options, locks, drivers);
  std::vector<std::string> names;
  for (const DriverEntry& entry : drivers) names.emplace_back(entry.driver->name());
  check_each("driver", plan.driver_globs, names);
  names.clear();
  for (const Rule& rule : all_rules()) names.emplace_back(rule.id);
  check_each("rule", plan.request.rules, names);
  std::vector<Result> skipped;
  if (plan_slices(plan, skipped).empty() && skipped.empty()) {
    if (plan.shard < plan.seeds) nothing_selected(plan);
    return kExitPass;  // A shard without a seed of its own: the others have them.
  }
  if (options.list) {
    const std::string error = write_stdout(list_scenarios(plan));
    if (!error.empty()) throw std::runtime_error(error);
    return kExitPass;
  }
  const ReportSink sink(options);
  check_store(options.store);
  Run run;
  run.command = options.command;
  run.started = utc_now();
  run.machine = machine_facts();
  run.seed = plan.request.seed;
  const auto begin = std::chrono::steady_clock::now();
  const SignalHold hold;
  plan.child_signals = hold.before();
  {
    const Janitor janitor;
    plan.request.work_directory = janitor.directory();
    CampaignOutcome outcome = run_campaign(plan);
    run.results = std::move(outcome.results);
    run.note = std::move(outcome.note);
  }
  run.duration_ms =
      std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin).count();
  write_replays(run.results, artifacts_directory(options.artifacts), program);
  const int exit_code = sink.write(run, exit_code_of(run.results));
  if (!options.store.empty()) Store(options.store).save(run);
  return exit_code;
}

}  // namespace hobbs
