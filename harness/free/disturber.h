// What the coordinator does to its workers from outside: moves, signals and stops them, touches the
// lock's file, takes their resources away. Nothing that a lock would have to promise to survive.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/free/arena.h"
#include "harness/free/gang.h"
#include "harness/free/nemesis.h"

namespace hobbs::gang {

class Disturber {
 public:
  /// `path`: of the first lock's file, if locks are on a path.
  Disturber(const Job& job, const Arena& arena, std::string path)
      : job_(job), arena_(arena), path_(std::move(path)), dice_(job.seed) {}

  /// To be called once in a tick(): strikes one of the workers that run in these processes. On
  /// and off in turn, as some bugs show only in quiet; with `quiet`, off.
  void disturb(const std::vector<pid_t>& running, bool quiet);
  std::chrono::steady_clock::duration tick(bool quiet) const;
  /// Ends whatever goes on.
  void let_go();
  /// The process is gone.
  void forget(pid_t process);

  std::uint64_t strikes() const { return strikes_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool is_on(bool quiet) const;
  const Slot& choose();
  void strike(const Slot& slot, pid_t process);
  void move(pid_t thread);
  Clock::time_point soon();

  const Job& job_;
  const Arena& arena_;
  const std::string path_;
  Dice dice_;
  std::uint64_t strikes_ = 0;
  pid_t held_ = 0;                // Stopped, or short of something, ...
  Clock::time_point held_until_;  // ... until then.
  Clock::time_point started_ = Clock::now();
};

}  // namespace hobbs::gang
