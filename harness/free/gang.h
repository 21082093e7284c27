// Runs one program with real workers: starts them, disturbs them, watches them, ends them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/free/worker.h"
#include "reports/result.h"

namespace hobbs::gang {

/// In a scenario made for one rule, the breach of a plainer one is a breach of that.
using Meanings = std::map<std::string, std::string>;

/// One run: the program, round after round, each round from all outside to all outside.
struct Job {
  const LockSpec* lock = nullptr;
  Program program;
  Topology topology = Topology::kFork;
  Nemesis nemesis = Nemesis::kNone;
  std::uint64_t seed = 1;
  std::uint32_t rounds = UINT32_MAX;            // At most.
  std::chrono::steady_clock::time_point until;  // No round begins after that.
  // The run is over by then, whatever it has shown.
  std::chrono::steady_clock::time_point latest = std::chrono::steady_clock::time_point::max();
  std::string directory;  // For locks on a path.
  bool witness = true;    // Workers accuse by what they see in place, too.
  bool catches = true;    // Where that is of use, the workers' system calls are caught.
  Meanings means;         // Under which rule a breach is told.
};

struct Stats {
  std::uint64_t rounds = 0;
  std::uint64_t acquired = 0;
  std::uint64_t contended = 0;
  std::uint64_t refused = 0;
  std::uint64_t strikes = 0;  // How often the nemesis really hit.
  std::uint64_t deaths = 0;   // Workers that died by the program's faults.
  std::uint64_t judged = 0;   // Calls whose history was judged.

  Stats& operator+=(const Stats& other);
};

/// A rule that did not hold, with what was seen.
struct Breach {
  std::string rule;
  std::string summary;
  std::vector<Moment> history;
  std::vector<std::string> evidence;
  // The witness or the kernel's word proves it; otherwise (workers spun in vain, or only the
  // recorded history says so) it must recur.
  bool proven = true;
};

struct JobEnd {
  std::optional<Breach> breach;
  bool excused = false;  // It got stuck where the contract lets it.
  bool cut = false;      // Its time was up before the last round had ended, which was going on.
  std::string unsure;    // Why the run says nothing; empty if it ended as it should.
  std::string
      uncatchable;  // Why the lock's system calls cannot be caught: then the run says nothing.
  std::string undecided;  // Why the recorded history says nothing; or empty.
  Stats stats;
};

/// Under which rule a breach of `rule` is told.
std::string told_rule(const Job& job, const std::string& rule);

/// Call it while the process has one thread. Throws std::system_error if the system refuses.
/// Whatever happens, no worker is left when it returns.
JobEnd run_job(const Job& job);

}  // namespace hobbs::gang
