// A campaign: locks x drivers x seeds within one budget, each piece in a child process of its own.
#pragma once

#include <signal.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/driver.h"
#include "harness/drivers.h"
#include "locks/lock.h"
#include "reports/result.h"

namespace hobbs {

struct CampaignPlan {
  const Catalog* locks = nullptr;    // Those chosen.
  const Drivers* drivers = nullptr;  // All; `driver_globs` chooses.
  std::string driver_globs = "*";
  Request request;          // What each slice is asked; `until` and `seed` are set here.
  bool crash_only = false;  // Only scenarios with a crash rule (CR-*).
  std::uint64_t seeds = 1;
  std::uint32_t shard = 0;  // Of the seeds, every `shards`-th from the `shard`-th on.
  std::uint32_t shards = 1;
  std::chrono::milliseconds budget{30'000};
  unsigned jobs = 1;
  // The signals blocked in the children: those before SignalHold. Absent: as they are now.
  std::optional<sigset_t> child_signals;
};

/// Blocks the signals that end a campaign early, for as long as it lives: one that comes before
/// run_campaign() is obeyed there, and one that comes after does not keep the report from being
/// written.
class SignalHold {
 public:
  SignalHold();
  ~SignalHold();
  SignalHold(const SignalHold&) = delete;
  SignalHold& operator=(const SignalHold&) = delete;

  const sigset_t& before() const { return before_; }
  /// "interrupted by SIGINT" once such a signal has come and run_campaign() has not taken it.
  std::string interruption();

 private:
  sigset_t before_{};
  std::string interruption_;
};

struct CampaignOutcome {
  std::vector<Result> results;  // By lock in catalogue order, then by driver.
  std::string note;             // "Interrupted by SIGINT: ...", or empty.
};

/// One piece: what runs in one child.
struct PlannedSlice {
  const LockSpec* lock = nullptr;
  const DriverEntry* entry = nullptr;
  std::uint64_t seed = 1;
  std::string scenarios;  // Comma-separated names: those selected.
};

/// The pieces in the order in which they run; `skipped` gets a result for each driver that cannot
/// run a chosen lock. Pure.
std::vector<PlannedSlice> plan_slices(const CampaignPlan& plan, std::vector<Result>& skipped);

/// Runs the plan. SIGINT and SIGTERM end it early with what was found so far; SIGUSR1 tells its
/// state on standard error. Throws std::system_error if the system refuses to fork.
CampaignOutcome run_campaign(const CampaignPlan& plan);

/// The share of the time that is left for the next of several slices: `left` is shared by the
/// weights still to start on `jobs` lanes, and no slice gets more than `left`.
std::chrono::milliseconds share_of(std::chrono::milliseconds left, double weight,
                                   double weight_to_start, unsigned jobs);

/// Results of the same lock, driver, scenario, topology and rule from several seeds become one.
std::vector<Result> merge_seeds(std::vector<Result> results);

}  // namespace hobbs
