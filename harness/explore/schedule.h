// Schedules: who moved when, as data and as text that a person can read and edit.
//
//     1x5 2x3 1:stale(-1) 1:drain time 2:wake 2:persist 1
//
// reads: worker 1 makes five steps, worker 2 three; worker 1 makes a step whose read takes the
// value one older than the newest; worker 1's oldest buffered store drains to memory; the clock
// moves to the next deadline; worker 2 is woken from its futex wait for no reason; then it looks at
// a word in vain and goes on looking until it has had enough; worker 1 steps again. A step is one
// Platform operation (or one point of the program outside the lock). Workers are numbered from 1 in
// the order of the program, forked ones after them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hobbs::explore {

/// What a step chose among, if it had a choice.
enum class Choice : std::uint8_t {
  kNone,
  kStale,    // A read: how many values back from the newest.
  kPlace,    // A store: before how many newer values of the modification order it goes.
  kWeak,     // A weak compare-exchange that failed although the value was the expected one.
  kPersist,  // A worker that has looked in vain: it looks on, until it does something else.
};

struct Move {
  enum class Kind : std::uint8_t {
    kStep,       // The worker performs its pending operation.
    kDrain,      // The worker's oldest buffered store reaches memory.
    kTime,       // The clock moves to the next deadline. `worker` is 0.
    kWake,       // A futex wait of the worker ends for no reason.
    kInterrupt,  // A futex wait of the worker is ended by a signal.
  };
  Kind kind = Kind::kStep;
  std::uint8_t worker = 0;  // From 0.
  Choice choice = Choice::kNone;
  std::uint8_t amount = 0;  // 0: the default (the newest value, the end of the order).

  bool operator==(const Move&) const = default;
};

using Schedule = std::vector<Move>;

std::string to_text(const Schedule& schedule);

struct ScheduleParse {
  Schedule schedule;
  std::string error;  // Empty, or one sentence.
};
ScheduleParse parse_schedule(std::string_view text);

/// Switches away from a worker that could have gone on, given by `ready` before each move; see
/// Explorer. Without that knowledge: how often the worker changes.
int switches(const Schedule& schedule);

}  // namespace hobbs::explore
