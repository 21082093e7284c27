// What the kernel knows of a thread: whether it sleeps, in which call, and whether it made
// progress. From this, and never from time alone, a blocked call is told from a slow one.
//
// The argument: a thread that sleeps in a wait without a timeout, in a family of processes in which
// no thread runs or moves, will sleep until somebody outside acts. A thread in a wait with a
// timeout (a poller) is blocked if it woke, looked and went back to sleep at least twice. One that
// never sleeps is given so much CPU time and then taken for a spinner, which waits as well.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace hobbs {

/// From the least restful on.
enum class Rest : std::uint8_t {
  kMoving,        // Running, runnable, or in a state from which it goes on by itself.
  kWaitsForTime,  // Asleep in a call that time ends, or that is not known.
  kWaits,         // Asleep in a call without a timeout.
};

/// One look at one thread.
struct ThreadSample {
  Rest rest = Rest::kMoving;
  std::int64_t run_ns = 0;       // CPU time so far.
  std::int64_t runnable_ns = 0;  // Time so far ready to run, but without a CPU.
  std::int64_t turns = 0;        // How often it was given a CPU.
  std::string where;             // "asleep in futex", "running".
};

/// The threads of a process; empty once it is gone.
std::vector<pid_t> threads_of(pid_t process);

/// All living processes that descend from `ancestor`, itself excluded.
std::vector<pid_t> descendants_of(pid_t ancestor);

/// Looks at a thread of `process`; a thread that is gone counts as moving.
ThreadSample look_at(pid_t process, pid_t thread);

/// The sum over a process's threads of the time they were ready to run but had no CPU.
std::int64_t runnable_ns_of(pid_t process);

/// Follows all threads of a family of processes through repeated looks.
class Watch {
 public:
  /// `spin_ns`: a thread that has used so much CPU time since the watch began counts as resting,
  /// for it spins; 0: none does.
  explicit Watch(std::int64_t spin_ns = 0) : spin_ns_(spin_ns) {}

  /// Looks once at every thread of `processes`; call it at intervals of some milliseconds.
  void look(const std::vector<pid_t>& processes);

  /// Looks in a row, up to now, in which nobody moved but pollers (threads that wait for time) and
  /// spinners.
  int settled() const { return settled_; }
  /// Whether at the last look some thread waited for time.
  bool time_matters() const { return time_matters_; }

  /// What is known of one thread since the watch began; thread 0: of the process's threads
  /// together, the least restful counting.
  struct Story {
    int looks = 0;           // In a row in which it was seen asleep without having moved ...
    int asleep_looks = 0;    // ... or asleep, moved or not.
    std::int64_t turns = 0;  // Times it was given a CPU since the watch began.
    std::int64_t run_ns = 0;
    ThreadSample last;
  };
  Story story(pid_t process, pid_t thread) const;

 private:
  struct Thread {
    pid_t process = 0;
    std::int64_t turns_before = 0;
    std::int64_t run_before_ns = 0;
    Story story;
    bool fresh = false;  // Seen in the current look.
  };
  bool note(Thread& thread, const ThreadSample& sample);

  std::int64_t spin_ns_;
  std::map<pid_t, Thread> threads_;
  int settled_ = 0;
  bool time_matters_ = false;
};

}  // namespace hobbs
