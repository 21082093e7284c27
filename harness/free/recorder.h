// A worker's recording of its calls, and the history that all recordings make together.
//
// A record survives the death of its worker at any moment: a call that was under way is pending, so
// that a death between the lock's last step and the record of it accuses nobody. The stamp before a
// call is no later than the call's first look at the lock, and the stamp after it no earlier than
// its last store is seen by all. So an acquire that follows a release at once needs no stamp of its
// own before it: the one after the release is early enough, and reading the clock is most of what
// recording costs.
#pragma once

#include "harness/free/arena.h"
#include "harness/free/stamp.h"
#include "scenarios/history.h"

namespace hobbs::gang {

/// What a record says beside its times.
struct RecordedCall {
  std::uint32_t round = 0;
  Verb verb = Verb::kAcquire;
  Mode mode = Mode::kExclusive;
  std::uint8_t lock = 0;
  Outcome outcome = Outcome::kAcquired;
};

constexpr std::uint64_t pack(const RecordedCall& call) {
  return std::uint64_t{call.round} << 32 |
         std::uint64_t{static_cast<std::uint8_t>(call.verb)} << 24 |
         std::uint64_t{static_cast<std::uint8_t>(call.mode)} << 16 | std::uint64_t{call.lock} << 8 |
         static_cast<std::uint8_t>(call.outcome);
}
constexpr RecordedCall unpack(std::uint64_t what) {
  return {static_cast<std::uint32_t>(what >> 32), static_cast<Verb>(what >> 24 & 0xff),
          static_cast<Mode>(what >> 16 & 0xff), static_cast<std::uint8_t>(what >> 8 & 0xff),
          static_cast<Outcome>(what & 0xff)};
}

/// Writes to one worker's ring; to be used by that worker alone. Never blocks, allocates nothing.
class Recorder {
 public:
  Recorder(const StampClock& clock, Slot& slot, Record* ring)
      : clock_(clock), slot_(&slot), ring_(ring) {}

  /// From here on for another worker: a forked child.
  void use(Slot& slot, Record* ring) {
    slot_ = &slot;
    ring_ = ring;
  }

  /// To be called right before the lock is, with the lock's address: see stamp_before().
  /// `deadline_ns`: of a timed call, on CLOCK_MONOTONIC; not looked at otherwise.
  template <class Object>
  void begin(const RecordedCall& call, std::int64_t deadline_ns, Object*& object) {
    begin_at(call, deadline_ns, stamp_before(clock_, object));
  }
  /// The same for a call that follows the last one's end() at once. (Whatever passed in between,
  /// the record only says less: that the call began no earlier than that.)
  template <class Object>
  void begin_at_once(const RecordedCall& call, Object*& object) {
    go_after(ended_, object);
    begin_at(call, INT64_MAX, ended_);
  }

  /// To be called right after the lock has returned.
  void end(const RecordedCall& call) {
    const bool gave_back = call.verb != Verb::kAcquire && call.verb != Verb::kTry;
    open_->what.store(pack(call), std::memory_order_relaxed);
    // A release's store may still wait in this core's store buffer.
    if (gave_back) std::atomic_thread_fence(std::memory_order_seq_cst);
    ended_ = stamp_after(clock_);
    open_->returned.store(ended_, std::memory_order_release);
  }

 private:
  /// As few stores as can be, as the lock's first fence waits for them all.
  void begin_at(const RecordedCall& call, std::int64_t deadline_ns, std::uint64_t stamp) {
    const std::uint32_t at = slot_->written.load(std::memory_order_relaxed);
    Record& record = ring_[at % kRecordsKept];
    open_ = &record;
    record.what.store(pack(call), std::memory_order_relaxed);
    // The clock is read after the stamp: what passes between makes the deadline seem nearer.
    if (call.verb == Verb::kTimed) {
      record.patience_ns.store(deadline_ns - now_ns(), std::memory_order_relaxed);
    }
    record.invoked.store(stamp, std::memory_order_relaxed);
    slot_->written.store(at + 1, std::memory_order_release);
  }

  const StampClock& clock_;
  Slot* slot_;
  Record* ring_;
  Record* open_ = nullptr;   // Of the call that is under way.
  std::uint64_t ended_ = 0;  // When the last call did.
};

/// The end of a worker's ring: records [oldest_record(), written) are there.
std::uint32_t oldest_record(const Slot& slot);

/// A record as an operation; what had not returned by the stamp `end` is pending.
Operation operation_of(const Record& record, std::uint32_t worker, const StampClock& clock,
                       std::uint64_t end = UINT64_MAX);

/// What was recorded up to the stamp `end`, as if the run had ended there.
struct Recorded {
  History history;       // Windows widened by the clock's error.
  bool complete = true;  // Otherwise earlier rounds are missing.
};
Recorded history_of(const Arena& arena, std::uint64_t end);

}  // namespace hobbs::gang
