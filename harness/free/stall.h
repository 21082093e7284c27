// Tells a gang that cannot go on from one that is slow: by evidence, never by the clock alone.
//
// No worker of a gang makes progress. Then each of them that has not left must be
//   at a gate or in a meet of the harness, which others must open, and have looked at it in vain
//   since, with a processor of its own; or
//   in a call, and either asleep in the kernel in a wait without a timeout, not having run at all
//   over many looks; or having spun, yielded or polled in vain: it was given the processor often
//   enough, and longer than any call takes.
// The looks come from this process, which the machine treats as it treats the workers: a look that
// is late does not count. A worker that waits for the processor, works inside a section, or has
// not reached its deadline is no evidence, and then there is no verdict.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <vector>

#include "harness/conform/evidence.h"
#include "harness/free/arena.h"
#include "harness/free/gang.h"

namespace hobbs::gang {

class StallWatch {
 public:
  StallWatch(const Arena& arena, const LockSpec& lock) : arena_(arena), lock_(lock) {}

  /// To be called every few milliseconds; a breach once the gang is known to be stuck, with an
  /// empty rule if that is by contract.
  std::optional<Breach> look(const std::vector<pid_t>& processes);
  /// Nothing has moved for a while: disturb nobody now.
  bool suspicious() const { return suspicious_; }
  /// Nothing has moved for so long that it must be told, though nothing is proven.
  bool hopeless() const;

 private:
  using Clock = std::chrono::steady_clock;
  enum class Standing : std::uint8_t { kGoesOn, kAtGate, kMeets, kAsleep, kInVain };

  std::uint64_t progress() const;
  bool somebody_becomes() const;
  Standing standing_of(const Slot& slot) const;
  std::int64_t ms_in_call(std::size_t index) const;
  Breach breach(const std::vector<Standing>& standings) const;
  std::string rule_of_dead(const Slot& slot, std::string* words) const;
  std::string rule_of(const std::vector<Standing>& standings, std::string* summary) const;

  const Arena& arena_;
  const LockSpec& lock_;
  std::uint64_t last_progress_ = UINT64_MAX;
  Clock::time_point moved_;
  Clock::time_point last_look_;
  Clock::time_point suspected_;
  bool suspicious_ = false;
  int looks_in_time_ = 0;
  Watch watch_;
};

}  // namespace hobbs::gang
