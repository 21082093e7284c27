#include "harness/campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "harness/glob.h"

namespace hobbs {
namespace {

constexpr std::chrono::milliseconds kShareMin{50};

std::string selected_scenarios(const CampaignPlan& plan, const Driver& driver,
                               const LockSpec& lock) {
  // A search named by its size is none of a driver's list, which is of its own plan.
  const bool named_by_size = plan.request.workers != 0 || plan.request.acquisitions != 0;
  if (named_by_size && !plan.crash_only) return plan.request.scenarios;
  std::string names;
  for (const ScenarioInfo& info : driver.scenarios(lock)) {
    const bool chosen = glob_match(plan.request.scenarios, info.name) &&
                        glob_match_any(plan.request.rules, info.rules) &&
                        (!plan.crash_only || glob_match_any("CR-*", info.rules));
    if (chosen) names += (names.empty() ? "" : ",") + info.name;
  }
  return names;
}

void add_seed(const CampaignPlan& plan, std::uint64_t seed, std::vector<Result>* skipped,
              std::vector<PlannedSlice>& slices) {
  for (const LockSpec& lock : *plan.locks) {
    for (const DriverEntry& entry : *plan.drivers) {
      const std::string name(entry.driver->name());
      if (!glob_match(plan.driver_globs, name)) continue;
      const bool named = plan.driver_globs != "*";
      if (entry.black_boxes_only && !named && lock.controlled.available()) continue;
      if (const std::string why = entry.driver->unfit(lock); !why.empty()) {
        if (skipped != nullptr) {
          Result result;
          result.lock = lock.name;
          result.driver = name;
          result.scenario = "*";
          result.rule = "*";
          result.verdict = Verdict::kSkipped;
          result.reason = why;
          skipped->push_back(std::move(result));
        }
        continue;
      }
      std::string scenarios = selected_scenarios(plan, *entry.driver, lock);
      if (!scenarios.empty()) slices.push_back({&lock, &entry, seed, std::move(scenarios)});
    }
  }
}

}  // namespace

std::vector<PlannedSlice> plan_slices(const CampaignPlan& plan, std::vector<Result>& skipped) {
  std::vector<PlannedSlice> slices;
  // Seeds outermost: every lock is looked at once before any is looked at twice.
  for (std::uint64_t i = plan.shard; i < plan.seeds; i += plan.shards) {
    add_seed(plan, plan.request.seed + i, i == plan.shard ? &skipped : nullptr, slices);
  }
  return slices;
}

std::chrono::milliseconds share_of(std::chrono::milliseconds left, double weight,
                                   double weight_to_start, unsigned jobs) {
  const double fraction = std::min(1.0, jobs * weight / std::max(weight, weight_to_start));
  const auto share = std::chrono::milliseconds(
      static_cast<std::int64_t>(static_cast<double>(left.count()) * fraction));
  return std::max(kShareMin, share);
}

std::vector<Result> merge_seeds(std::vector<Result> results) {
  std::map<std::tuple<std::string, std::string, std::string, std::string, std::string, Verdict,
                      std::string>,
           std::size_t>
      index;
  std::vector<Result> merged;
  for (Result& result : results) {
    // A pass tells how contended it was, which differs from seed to seed: the first is kept.
    const std::string reason = result.verdict == Verdict::kPass ? "" : result.reason;
    const auto key = std::tuple(result.lock, result.driver, result.scenario, result.topology,
                                result.rule, result.verdict, reason);
    const auto [it, added] = index.try_emplace(key, merged.size());
    if (added || result.finding) {
      merged.push_back(std::move(result));
      continue;
    }
    Result& first = merged[it->second];
    first.executions += result.executions;
    first.duration_ms += result.duration_ms;
    first.complete = first.complete && result.complete;
  }
  return merged;
}

}  // namespace hobbs
