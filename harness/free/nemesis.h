// What is done to the workers while they run: the nemesis of a run, and the program's own kills.
//
// A worker strikes itself wherever an exact point matters (delays, death); the coordinator strikes
// from outside where it does not (moving, signals, stops).
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "harness/free/arena.h"

namespace hobbs::gang {

enum class Nemesis : std::uint8_t {
  kNone,
  kChurn,     // Workers are moved from core to core.
  kYields,    // At hook points: gives the processor away.
  kDelays,    // At hook points: waits, mostly microseconds, rarely up to half a millisecond.
  kSignals,   // Workers in a call get signals whose handler does not restart system calls.
  kRestarts,  // The same with SA_RESTART.
  kStops,     // Processes are stopped and continued.
  kStale,     // A process took the lock and died before the workers came.
  kZombies,   // The dead are not waited for while others run.
  kFresh,     // Workers open the lock anew before every round, at every other one by a new path;
              // one in memory is destroyed and made anew. They are delayed at its hook points.
  kFiles,     // The lock's file is opened and closed, linked, touched, its mode changed by others.
  kAliases,   // Holders open the lock's file once more, and close it.
  kScarce,    // For moments workers get no more descriptors, or no more room in files.
  kGarbled,   // The lock's file is cut, written over, its time moved by others.
  kRemovals,  // The last that a holder does inside: it removes the file, or puts an empty one
              // there.
  kReplaced,  // While all have the lock closed its file is removed, or a copy put in its place.
  kHostile,   // Every other round finds a FIFO or a folder in the file's place.
  kRefusals,  // In acquires, the kernel is short of memory or of records for locks.
  kForks,     // At hook points inside calls: a child is forked, which ends at once or soon.
  kClockSet,  // As if the wall clock were set forward, for those in timed calls who wait by it.
  kExecs,     // Whoever is to die becomes another program instead, which goes on.
};

std::string_view to_string(Nemesis nemesis);
/// False if there is no such nemesis.
bool parse_nemesis(std::string_view text, Nemesis& nemesis);

/// Whether it strikes at points inside the lock's calls: see catches_calls() for those of a lock
/// that is no template over Platform.
bool needs_hooks(Nemesis nemesis);
/// Whether workers close the lock between rounds, so that the file can be struck at rest.
bool strikes_at_rest(Nemesis nemesis);
bool sends_signals(Nemesis nemesis);
/// Whether calls to the lock may fail for want of something.
bool takes_away(Nemesis nemesis);
/// Whether it brings about what a scenario is made for, and not only disorder.
bool is_cause(Nemesis nemesis);

/// A small fast generator, one a thread: xorshift64*.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull | 1) {}
  std::uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dull;
  }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>((next() >> 32) % n); }

 private:
  std::uint64_t state_;
};

/// Arms the calling thread: its hook points, and the handler's counter. What is pointed to must
/// outlive the thread's calls to the lock.
void arm(Nemesis nemesis, Dice* dice, Slot* slot, const StampClock* clock);
/// Its process is to end at the k-th point from now: hook points and the two sides of each call.
/// With `asleep`, at a point before a wait it dies a little later, in its sleep. With `on_path`,
/// the end of one call for a file is the begin of the next.
void die_at(std::uint32_t point, bool asleep, bool on_path);
/// The same for the calling thread alone; its process goes on.
void end_thread_at(std::uint32_t point);
/// To be called on both sides of every call to the lock.
void pass_point();
void disarm();

/// The signal of kSignals and kRestarts, and its handler for this process.
int nemesis_signal();
void handle_nemesis_signal(bool restarts);

/// Whether the calling thread is in a call of the lock.
bool in_call();
/// Whether it is between arm() and disarm().
bool is_armed();
/// Whether the system call that the calling thread is about to make is to be refused.
bool refuse_here();
bool refuses();  // Whether some may be, in this call.
/// Whether the wall clock is to be set while the calling thread waits until a time of that.
bool set_clock_here();

/// What a worker under kExecs becomes, as the kernel calls it.
inline constexpr std::string_view kOtherProgram = "sleep";

/// The children that kForks has left are gone when this returns.
void outlive_forked();

/// Pauses for about that long without sleeping.
void spin_for_ns(std::int64_t ns);

}  // namespace hobbs::gang
