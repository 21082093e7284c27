// The seam of the drivers: one class a way of making interleavings (DESIGN 5).
//
// A driver gets a lock and a budget, enumerates its own scenarios that apply to the lock's claims,
// runs them and says what it found. The campaign runs each call in a child process of its own, so
// a driver may crash or hang with the lock under test without taking hobbs down.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "locks/lock.h"
#include "reports/result.h"

namespace hobbs {

/// What a caller asks of a driver.
struct Request {
  std::uint64_t seed = 1;
  std::chrono::steady_clock::time_point until;  // Stop, with honest verdicts, by then.
  std::string scenarios = "*";                  // Comma-separated globs.
  std::string rules = "*";
  // For files; the campaign removes it, and everything in /dev/shm whose name contains the name
  // of its parent ("hobbs-PID-XXXXXX"), even after SIGKILL: name semaphores after that.
  std::string work_directory;
  bool stop_at_first_finding = true;
  // Others try the lock too: a driver that cannot follow what its code does is skipped with the
  // reason, as one that is unfit for it; alone it says that it knows nothing.
  bool beside_others = false;
  // A named search (explore and step); 0 or empty: the driver's own plan.
  std::uint32_t workers = 0;
  std::uint32_t acquisitions = 0;
  std::uint32_t kills = 0;
  std::int32_t preemptions = -1;
  std::int32_t delays = -1;
  std::string memory;    // sc, tso, c11.
  std::string strategy;  // random, pct, pos, bounded, delay, exhaustive, native.
  std::function<void(std::string_view)> progress = [](std::string_view) {};  // One short line.
  // Optional: a result told here is kept even if the driver is ended before run() returns, which
  // returns it again.
  std::function<void(const Result&)> found = [](const Result&) {};
};

/// One scenario as `--list` shows it.
struct ScenarioInfo {
  std::string name;
  std::string rules;  // "ME-1,ME-2"
  std::string about;  // One sentence.
};

/// What a replay did.
struct ReplayOutcome {
  std::uint64_t failed = 0;
  std::uint64_t of = 0;
  Result result;      // The finding again, or the pass.
  std::string error;  // Not empty: the file does not fit this lock or driver; one sentence.
};

/// Why a replay is inconclusive that neither failed nor ran as its file says.
inline constexpr char kNotFollowed[] =
    "the file's schedule cannot be followed: the lock, the program or the schedule is another one "
    "than when it was written; search anew";

class Driver {
 public:
  virtual ~Driver() = default;
  virtual std::string_view name() const = 0;
  /// Empty if the driver can run this lock, else the reason why not (a skip).
  virtual std::string unfit(const LockSpec& lock) const = 0;
  virtual std::vector<ScenarioInfo> scenarios(const LockSpec& lock) const = 0;
  /// Runs what applies within the budget; results in the order in which they were found out.
  virtual std::vector<Result> run(const LockSpec& lock, const Request& request) = 0;
  /// Runs exactly the case that a finding's replay_json holds.
  virtual ReplayOutcome replay(const LockSpec& lock, std::string_view replay_json,
                               const Request& request) = 0;
};

}  // namespace hobbs
