#include "harness/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "harness/glob.h"
#include "scenarios/rules/catalog.h"

namespace hobbs {
namespace {

std::string_view releaser_words(Releaser releaser) {
  switch (releaser) {
    case Releaser::kAnyone: return "anyone may release";
    case Releaser::kProcess: return "the holder's process releases";
    case Releaser::kThread: return "the holder releases";
  }
  return "?";
}

std::string_view crash_words(CrashBehaviour crash) {
  switch (crash) {
    case CrashBehaviour::kStuck: return "stays held if the holder dies";
    case CrashBehaviour::kReleasedBySystem: return "released by the system if the holder dies";
    case CrashBehaviour::kOwnerDied: return "the next one is told that the holder died";
    case CrashBehaviour::kTakeover: return "taken over if the holder dies";
  }
  return "?";
}

std::string fairness_words(const Claims& claims) {
  switch (claims.fairness) {
    case Fairness::kNone: return "no fairness";
    case Fairness::kBoundedBypass:
      return fmt::format("bypassed at most {} times", claims.bypass_bound);
    case Fairness::kFifo: return "first come, first served";
    case Fairness::kReaderPreference: return "readers first";
    case Fairness::kWriterPreference: return "writers first";
    case Fairness::kPhaseFair: return "phase-fair";
  }
  return "?";
}

std::string place_words(const LockSpec& lock) {
  const Claims& claims = lock.claims;
  std::string words = !claims.process_shared ? "between threads of one process"
                      : claims.thread_shared ? "between processes and threads"
                                             : "between processes, not between threads of one";
  if (lock.home == Home::kPath) words += ", on a path";
  return words;
}

}  // namespace

std::string claims_words(const LockSpec& lock) {
  const Claims& claims = lock.claims;
  std::vector<std::string> words{place_words(lock)};
  if (claims.semaphore) words.push_back(fmt::format("semaphore of {}", claims.permits));
  if (claims.bounded_release) words.emplace_back("refuses a release too many");
  words.emplace_back(releaser_words(claims.releaser));
  if (claims.reentrant) words.emplace_back("re-entrant");
  words.emplace_back(crash_words(claims.crash));
  words.push_back(fairness_words(claims));
  if (claims.spurious_try_failure) words.emplace_back("a try may fail spuriously");
  if (claims.fork == ForkBehaviour::kPrivateCopy)
    words.emplace_back("a forked child has its own copy");
  if (claims.max_workers < kMaxWorkers) {
    words.push_back(fmt::format("at most {} workers", claims.max_workers));
  }
  if (claims.checks_misuse) words.emplace_back("refuses misuse");
  if (claims.pristine_when_free) words.emplace_back("as new when free");
  if (claims.reports_errors) words.emplace_back("reports errors");
  if (claims.exec_is_death) words.emplace_back("exec counts as death");
  if (claims.content_ignored) words.emplace_back("its file's content is nothing to it");
  if (claims.path_replaceable) words.emplace_back("a holder may remove its file");
  if (claims.across_namespaces) words.emplace_back("across process id namespaces");
  if (claims.zero_is_free) words.emplace_back("zeroed memory is a new one");
  if (claims.waits_asleep) words.emplace_back("waits asleep");
  if (claims.closing_frees) words.emplace_back("freed by closing its file anywhere");
  if (claims.finds_deadlock == Deadlock::kOwn) words.emplace_back("refuses to wait for oneself");
  if (claims.finds_deadlock == Deadlock::kRing)
    words.emplace_back("refuses to close a ring of waits");
  if (!claims.position_independent) words.emplace_back("mapped at one address everywhere");
  return fmt::format("{}", fmt::join(words, "; "));
}

std::string operations_words(const LockSpec& lock) {
  const LockOps& ops = lock.real;
  std::vector<std::string_view> words{"lock"};
  if (ops.try_acquire != nullptr) words.push_back("try");
  if (ops.acquire_until != nullptr) words.push_back("timed");
  if (ops.acquire_shared != nullptr) words.push_back("shared");
  if (ops.try_acquire_shared != nullptr) words.push_back("try shared");
  if (ops.acquire_shared_until != nullptr) words.push_back("timed shared");
  if (ops.upgrade != nullptr || ops.try_upgrade != nullptr) words.push_back("upgrade");
  if (ops.downgrade != nullptr) words.push_back("downgrade");
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string list_locks(const Catalog& locks) {
  std::string out;
  for (const LockSpec& lock : locks) {
    fmt::format_to(std::back_inserter(out), "{}{}\n", lock.name,
                   lock.seed   ? "  (seed)"
                   : lock.peer ? "  (peer)"
                               : "");
    if (!lock.summary.empty()) fmt::format_to(std::back_inserter(out), "    {}\n", lock.summary);
    fmt::format_to(std::back_inserter(out), "    claims: {}\n", claims_words(lock));
    fmt::format_to(std::back_inserter(out), "    offers: {}\n", operations_words(lock));
    if (!lock.unusable_between_processes.empty()) {
      fmt::format_to(std::back_inserter(out), "    not between processes: {}\n",
                     lock.unusable_between_processes);
    }
    if (!lock.source.empty())
      fmt::format_to(std::back_inserter(out), "    source: {}\n", lock.source);
  }
  fmt::format_to(std::back_inserter(out), "{} lock{}\n", locks.size(),
                 locks.size() == 1 ? "" : "s");
  return out;
}

namespace {

/// Driver by driver, the scenarios that check a rule.
using Checkers = std::map<std::string, std::set<std::string>>;

std::map<std::string, Checkers> checkers_by_rule(const Catalog& locks, const Drivers& drivers) {
  std::map<std::string, Checkers> by_rule;
  for (const DriverEntry& entry : drivers) {
    for (const LockSpec& lock : locks) {
      if (!entry.driver->unfit(lock).empty()) continue;
      for (const ScenarioInfo& info : entry.driver->scenarios(lock)) {
        for (const std::string& rule : split_commas(info.rules)) {
          by_rule[rule][std::string(entry.driver->name())].insert(info.name);
        }
      }
    }
  }
  return by_rule;
}

std::string coverage_words(const Checkers& checkers, bool verbose) {
  std::vector<std::string> words;
  for (const auto& [driver, scenarios] : checkers) {
    words.push_back(verbose ? fmt::format("{} ({})", driver, fmt::join(scenarios, " ")) : driver);
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

}  // namespace

std::string list_rules(const Catalog& locks, const Drivers& drivers, bool verbose) {
  constexpr std::string_view kOwn = "HX";  // Rules for hobbs: no scenario of a lock shows them.
  const auto by_rule = checkers_by_rule(locks, drivers);
  std::string out;
  std::size_t core = 0, core_checked = 0, checked = 0, own = 0;
  std::string_view family;
  for (const Rule& rule : all_rules()) {
    const std::string_view prefix = rule.id.substr(0, rule.id.find('-'));
    if (prefix != family) {
      family = prefix;
      const auto named = std::ranges::find(rule_families(), prefix, &RuleFamily::prefix);
      fmt::format_to(std::back_inserter(out), "{}\n", named->name);
    }
    const auto found = by_rule.find(std::string(rule.id));
    const bool is_checked = found != by_rule.end();
    std::string coverage = is_checked       ? coverage_words(found->second, verbose)
                           : prefix == kOwn ? "hobbs's tests"
                                            : "not checked";
    const std::string_view why = is_checked ? "" : why_unchecked(rule.id);
    fmt::format_to(std::back_inserter(out), "  {:<6} {:<4} {:<20} {}{}{}\n", rule.id,
                   rule.core ? "core" : "", coverage, rule.sentence, why.empty() ? "" : ": ", why);
    if (prefix == kOwn) {
      ++own;
      continue;
    }
    core += rule.core ? 1 : 0;
    core_checked += rule.core && is_checked ? 1 : 0;
    checked += is_checked ? 1 : 0;
  }
  fmt::format_to(std::back_inserter(out),
                 "{} rules: {} of the {} core ones and {} others are checked on these locks, {} "
                 "are not; {} are for hobbs itself\n",
                 all_rules().size(), core_checked, core, checked - core_checked,
                 all_rules().size() - own - checked, own);
  return out;
}

std::string list_scenarios(const CampaignPlan& plan) {
  struct Row {
    ScenarioInfo info;
    std::size_t locks = 0;
  };
  std::vector<Result> skipped;
  std::map<std::string, std::vector<Row>> by_driver;
  for (const PlannedSlice& slice : plan_slices(plan, skipped)) {
    std::vector<Row>& rows = by_driver[std::string(slice.entry->driver->name())];
    for (const ScenarioInfo& info : slice.entry->driver->scenarios(*slice.lock)) {
      if (!glob_match(slice.scenarios, info.name)) continue;
      const auto it = std::find_if(rows.begin(), rows.end(),
                                   [&](const Row& row) { return row.info.name == info.name; });
      if (it == rows.end()) {
        rows.push_back({info, 1});
      } else {
        ++it->locks;
      }
    }
  }
  std::string out;
  for (const auto& [driver, rows] : by_driver) {
    fmt::format_to(std::back_inserter(out), "{}\n", driver);
    for (const Row& row : rows) {
      fmt::format_to(std::back_inserter(out), "    {:<28} {:<24} {} lock{}: {}\n", row.info.name,
                     row.info.rules, row.locks, row.locks == 1 ? "" : "s", row.info.about);
    }
  }
  for (const Result& result : skipped) {
    fmt::format_to(std::back_inserter(out), "skipped: {} ({}): {}\n", result.lock, result.driver,
                   result.reason);
  }
  return out;
}

}  // namespace hobbs
