// One process of an agent, traced: held before each thing it does that other processes can notice,
// a system call or an access to memory that it shares, and let go on.
//
// Accesses are noticed by taking the rights to shared memory away: each faults, is a stop, and is
// made with the rights given back for one instruction. So whatever the program runs, an interpreter
// or a library, only accesses to shared memory cost anything, and none is missed; but for those of
// the kernel in a system call, during which the rights are there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/foreign/guard.h"
#include "harness/foreign/point.h"
#include "harness/foreign/repetition.h"
#include "harness/foreign/sleeper.h"
#include "harness/foreign/system_call.h"

namespace hobbs::foreign {

struct TraceOptions {
  std::function<bool()> replied;  // Whether the answer to its call has arrived.
  std::string socket_path;        // Of the harness: what it says there nobody else hears.
  bool memory = true;             // Stop at accesses to shared memory too.
};

/// What one process of an agent does in a call. Not thread-safe, and all calls must be made by the
/// thread that made it. Throws TraceRefused and Lost.
class Traced {
 public:
  enum class Stop : std::uint8_t {
    kPoint,    // Held before point().
    kReplied,  // Its call has been answered.
    kBlocked,  // Asleep in the kernel until others do something; where().
    kPolls,    // Held, after it has looked in vain for several times in the same way.
    kDied,     // signal(), or its exit.
  };

  Traced(pid_t process, TraceOptions options);
  /// Lets it go as if it had never been traced; what is held goes on.
  ~Traced();
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;

  pid_t process() const { return process_; }
  const Point& point() const { return point_; }
  const std::string& where() const { return where_; }
  int signal() const { return signal_; }
  /// What the last thing done at a point returned, of a system call.
  std::int64_t result() const { return result_; }

  /// To be called before a call is sent to it.
  void begin_call();
  /// Does what it is held before, and goes on to the next stop. One that is blocked is only looked
  /// at: kBlocked again if it still is.
  Stop go_on();
  /// Others have done something: what it does from now on is not the same as before.
  void notice_others() { repetition_.notice_others(); }
  /// Ends it here, as SIGKILL does.
  void kill();

 private:
  static const char* const kStartsProcess;
  enum class Held : std::uint8_t { kRunning, kStopped, kAtEntry, kAtExit, kAtFault, kGone };
  struct Event {
    enum class Kind : std::uint8_t { kStop, kAsleep, kReplied } kind = Kind::kStop;
    int status = 0;
  };

  void begin();
  void seize(pid_t thread, bool caller);
  void seize_others();
  void resume();
  Event wait_for_event();
  int interrupt(pid_t thread);
  void let_go(pid_t thread);
  void serve_others();
  void serve_other(pid_t thread, int status);
  bool take_child(pid_t thread, int event);
  void note_exit(int status);
  void stop_now();
  void classify_stop(int status);

  bool take_stop(int status, Stop& stop);
  bool at_entry(Stop& stop);
  bool at_exit(std::int64_t result, Stop& stop);
  bool at_fault(Stop& stop);
  bool decide(Stop& stop);
  void perform();

  bool is_shared(const SystemCall& call) const;
  bool is_said_to_us(const SystemCall& call) const;
  void guard(bool on);

  const pid_t process_;
  const TraceOptions options_;
  Sleeper sleeper_;
  Guard guard_;
  Held held_ = Held::kRunning;
  int deliver_ = 0;  // A signal that it gets when it goes on.
  int signal_ = 0;
  std::vector<pid_t> others_;  // Its other threads, which only run.
  std::vector<std::uint64_t> channels_;
  bool suspended_ = false;  // Not guarded for the time of a system call.
  bool repeats_ = false;    // It enters the same system call again, now with the rights it needs.
  bool mappings_changed_ = true;
  std::uint64_t call_site_ = 0;  // A system call instruction of its.
  std::uint64_t call_end_ = 0;   // Behind the one that it has entered last.
  SystemCall current_;           // The last it has entered.
  Point point_;
  bool at_point_ = false;  // Held before point_, which has not been done.
  std::string where_;
  std::int64_t result_ = 0;
  Repetition repetition_;
};

}  // namespace hobbs::foreign
