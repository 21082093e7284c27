#include "harness/free/nemesis.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "locks/hooked_platform.h"

namespace hobbs::gang {
namespace {

constexpr std::pair<Nemesis, std::string_view> kNames[] = {
    {Nemesis::kNone, "none"},         {Nemesis::kChurn, "churn"},
    {Nemesis::kYields, "yields"},     {Nemesis::kDelays, "delays"},
    {Nemesis::kSignals, "signals"},   {Nemesis::kRestarts, "restarts"},
    {Nemesis::kStops, "stops"},       {Nemesis::kStale, "stale"},
    {Nemesis::kZombies, "zombies"},   {Nemesis::kFresh, "fresh"},
    {Nemesis::kFiles, "files"},       {Nemesis::kScarce, "scarce"},
    {Nemesis::kAliases, "aliases"},   {Nemesis::kForks, "forks"},
    {Nemesis::kExecs, "execs"},       {Nemesis::kGarbled, "garbled"},
    {Nemesis::kRemovals, "removals"}, {Nemesis::kReplaced, "replaced"},
    {Nemesis::kHostile, "hostile"},   {Nemesis::kRefusals, "refusals"},
    {Nemesis::kClockSet, "clock"},
};

constexpr std::int64_t kLateNs = 200'000;  // A signal so long past the deadline finds an idler.
constexpr long kForkedStaysNs = 1'500'000;
constexpr std::size_t kForkedMost = 32;  // A worker that spins for ever passes points for ever.
constexpr suseconds_t kDieAsleepAfterUs = 300;

struct Armed {
  Nemesis nemesis = Nemesis::kNone;
  Dice* dice = nullptr;
  Slot* slot = nullptr;
  const StampClock* clock = nullptr;
  std::uint32_t points_left = 0;  // Until death; 0: it lives.
  bool asleep = false;            // May die in its sleep.
  bool on_path = false;           // Nothing changes between calls for files.
  bool alone = false;             // Only its thread dies.
  volatile sig_atomic_t due = 0;  // The moment of death has come, at the next exact point.
};
thread_local Armed armed;

/// Children of this thread that kForks has started.
thread_local std::vector<pid_t> forked;

/// The process goes on, as another program that knows nothing of the lock, until the gang is ended.
void become_another(Slot& slot) {
  slot.strikes.fetch_add(1);
  execl("/bin/sleep", kOtherProgram.data(), "3600", static_cast<char*>(nullptr));
  slot.strikes.fetch_sub(1);
}

/// From `dying` on, whoever meets this worker's traces knows that it is dead.
[[noreturn]] void die() {
  if (armed.nemesis == Nemesis::kExecs) armed.slot->becoming.store(1);
  armed.slot->died.store(stamp_after(*armed.clock));
  armed.slot->dying.store(1);
  if (armed.nemesis == Nemesis::kExecs) become_another(*armed.slot);
  if (armed.alone) syscall(SYS_exit, 0);  // Without unwinding, as if it had been cancelled hard.
  kill(getpid(), SIGKILL);
  while (true) pause();
}

/// Inside a call the worker's witness is at rest, so it may die there at once.
void on_death_alarm(int) {
  if (armed.slot == nullptr) return;
  if (armed.slot->stage.load() == Stage::kCalling) die();
  armed.due = 1;
}

void die_soon() {
  struct sigaction action {};
  action.sa_handler = on_death_alarm;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval soon{{0, 0}, {0, kDieAsleepAfterUs}};
  setitimer(ITIMER_REAL, &soon, nullptr);
}

void count_down(bool before_wait) {
  if (armed.due != 0) die();
  if (armed.points_left == 0 || --armed.points_left != 0) return;
  if (!armed.asleep || !before_wait) die();
  die_soon();
}

bool is_of_file(HookPoint point) {
  return point == HookPoint::kFile || point == HookPoint::kFileWait;
}

// A spin loop passes hook points without end; striking at each would only make the run slow.
bool strikes(HookPoint point, std::uint32_t one_in) {
  const bool idle = point == HookPoint::kPause || point == HookPoint::kYield;
  if (armed.dice->below(idle ? 8 * one_in : one_in) != 0) return false;
  armed.slot->strikes.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void delay(HookPoint point) {
  // Between system calls others need long to get through their own.
  if (is_of_file(point)) return spin_for_ns(armed.dice->below(400'000));
  const std::uint32_t draw = armed.dice->below(100);
  if (draw < 60) {
    spin_for_ns(200 + armed.dice->below(20'000));
  } else if (draw < 97) {
    sched_yield();
  } else {
    const timespec time{0, 20'000 + static_cast<long>(armed.dice->below(500'000))};
    nanosleep(&time, nullptr);
  }
}

/// Whether there may be one child more, those that have ended being seen off.
bool may_fork() {
  if (forked.size() < kForkedMost) return true;
  std::erase_if(forked, [](pid_t child) { return waitpid(child, nullptr, WNOHANG) != 0; });
  return forked.size() < kForkedMost;
}

/// A child in the midst of its parent's call: it never returns to it. Half of them stay for a
/// while, with everything that they have inherited. Until then nobody is said to wait for ever.
void fork_here() {
  const pid_t parent = getpid();
  const bool stays = armed.dice->below(2) == 0;
  Slot* const slot = armed.slot;
  slot->forked.fetch_add(1);
  const pid_t child = may_fork() ? fork() : -1;
  if (child > 0) forked.push_back(child);
  if (child < 0) slot->strikes.fetch_sub(1);
  if (child > 0) return;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const timespec time{0, kForkedStaysNs};
    if (stays && getppid() == parent) nanosleep(&time, nullptr);
    close_range(0, ~0u, 0);
  }
  slot->forked.fetch_sub(1);
  if (child == 0) _exit(0);
}

/// Whatever a strike calls, the lock's own errno is not to change.
void on_hook(HookPoint point, bool before) {
  const int error = errno;
  const bool waits = point == HookPoint::kFutexWait || point == HookPoint::kFileWait;
  const bool same_as_last = before && point == HookPoint::kFile && armed.on_path;
  if (!same_as_last) count_down(before && waits);
  if (armed.nemesis == Nemesis::kYields && strikes(point, 4)) sched_yield();
  const bool delays = armed.nemesis == Nemesis::kDelays || armed.nemesis == Nemesis::kStale ||
                      armed.nemesis == Nemesis::kFresh;
  if (armed.nemesis == Nemesis::kForks && in_call() && strikes(point, is_of_file(point) ? 3 : 16)) {
    fork_here();
  }
  if (delays && strikes(point, is_of_file(point) ? 2 : 12)) delay(point);
  errno = error;
}

void on_nemesis_signal(int) {
  const int error = errno;
  if (Slot* const slot = armed.slot; slot != nullptr) {
    slot->strikes.fetch_add(1, std::memory_order_relaxed);
    const bool in_call = slot->stage.load(std::memory_order_relaxed) == Stage::kCalling;
    const std::int64_t deadline = slot->deadline_ns.load(std::memory_order_relaxed);
    if (in_call && deadline != INT64_MAX && now_ns() - deadline > kLateNs) {
      slot->idled.fetch_add(1, std::memory_order_relaxed);
    }
  }
  errno = error;
}

}  // namespace

std::string_view to_string(Nemesis nemesis) {
  for (const auto& [known, name] : kNames) {
    if (known == nemesis) return name;
  }
  return "?";
}

bool parse_nemesis(std::string_view text, Nemesis& nemesis) {
  for (const auto& [known, name] : kNames) {
    if (name != text) continue;
    nemesis = known;
    return true;
  }
  return false;
}

bool needs_hooks(Nemesis nemesis) {
  return nemesis == Nemesis::kYields || nemesis == Nemesis::kDelays || nemesis == Nemesis::kStale ||
         nemesis == Nemesis::kForks;
}

bool is_cause(Nemesis nemesis) {
  if (nemesis == Nemesis::kForks) return true;
  return !needs_hooks(nemesis) && nemesis != Nemesis::kNone && nemesis != Nemesis::kChurn &&
         nemesis != Nemesis::kStops;
}

bool strikes_at_rest(Nemesis nemesis) {
  return nemesis == Nemesis::kReplaced || nemesis == Nemesis::kHostile;
}

bool takes_away(Nemesis nemesis) {
  return nemesis == Nemesis::kScarce || nemesis == Nemesis::kRefusals;
}

bool sends_signals(Nemesis nemesis) {
  return nemesis == Nemesis::kSignals || nemesis == Nemesis::kRestarts;
}

void arm(Nemesis nemesis, Dice* dice, Slot* slot, const StampClock* clock) {
  armed = {};
  armed.nemesis = nemesis;
  armed.dice = dice;
  armed.slot = slot;
  armed.clock = clock;
  current_hook = on_hook;
}

void die_at(std::uint32_t point, bool asleep, bool on_path) {
  armed.points_left = point;
  armed.asleep = asleep;
  armed.on_path = on_path;
}

void end_thread_at(std::uint32_t point) {
  armed.points_left = point;
  armed.alone = true;
}

void pass_point() { count_down(false); }

void disarm() {
  current_hook = nullptr;
  armed = {};
}

bool is_armed() { return armed.slot != nullptr; }

bool in_call() { return armed.slot != nullptr && armed.slot->stage.load() == Stage::kCalling; }

bool refuses() { return armed.nemesis == Nemesis::kRefusals && in_call(); }

bool refuse_here() {
  if (!refuses()) return false;
  const auto verb = static_cast<Verb>(armed.slot->verb.load());
  const bool acquires = verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
  if (!acquires || armed.dice->below(4) != 0) return false;
  armed.slot->strikes.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool set_clock_here() {
  if (armed.nemesis != Nemesis::kClockSet || !in_call()) return false;
  const bool timed = static_cast<Verb>(armed.slot->verb.load()) == Verb::kTimed;
  if (!timed || armed.dice->below(2) != 0) return false;
  armed.slot->strikes.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void outlive_forked() {
  for (const pid_t child : forked) {
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  forked.clear();
}

int nemesis_signal() { return SIGUSR2; }

void handle_nemesis_signal(bool restarts) {
  struct sigaction action {};
  action.sa_handler = on_nemesis_signal;
  action.sa_flags = restarts ? SA_RESTART : 0;
  sigaction(nemesis_signal(), &action, nullptr);
}

void spin_for_ns(std::int64_t ns) {
  for (const std::int64_t until = now_ns() + ns; now_ns() < until;) {
  }
}

}  // namespace hobbs::gang
