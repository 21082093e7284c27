// Who got the lock before whom: the rules of fairness that one execution can break (FA-1 to FA-4).
//
// A worker is passed by whoever gets the lock first although it called later: after the waiter was
// *seen waiting*, which is to say after the waiter wrote to memory in its call, so that others can
// know of it, and then had nothing to do but wait while nobody could move inside the lock. From the
// call's begin alone nothing follows: who has not run yet has no place in any queue. Nor has one
// who waits for a part of the lock that another is just using, such as the guard of the queue.
// Calls of try_lock neither wait nor pass: a try takes what is free.
//
//   claim              broken when
//   FIFO               a waiter is passed at all, unless by a reader who passes readers (FA-3)
//   bounded bypass k   one worker passes a waiter more than k times (FA-4)
//   writers first      a reader passes a waiting writer (FA-1)
//   phase-fair         one writer passes a waiting reader twice (FA-2)
//
// Readers first promises nothing of this kind: a reader waits for the writer inside, and when that
// one leaves, the next may be either.
// Source: Lamport 1974 and Dijkstra 1965 for bypass counted from the end of a doorway; Brandenburg
// and Anderson 2010 for phase-fairness.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "locks/lock.h"

namespace hobbs {

class Overtaking {
 public:
  static constexpr int kMaxWatched = 8;

  struct Broken {
    const char* rule;     // Its id.
    int passed;           // The waiter.
    std::uint32_t times;  // How often this worker has passed it.
  };

  explicit Overtaking(const Claims& claims)
      : fairness_(claims.fairness), bound_(claims.bypass_bound) {}

  /// Whether the claims promise anything that could break here.
  bool promises() const {
    return fairness_ != Fairness::kNone && fairness_ != Fairness::kReaderPreference;
  }
  /// A new execution: nobody calls.
  void begin() {
    calling_ = seen_ = 0;
    seen_before_ = 0;
  }
  /// Worker `w` calls lock() or a timed form, which may be passed only if it is not `timed`
  /// (whoever gives up loses its place), holding nothing of this lock and in no other call.
  [[gnu::always_inline]] void calls(int w, int lock, Mode mode, bool timed) {
    waiters_[index(w)] = {.timed = timed, .mode = mode, .lock = lock, .passed_by = {}};
    calling_ |= 1u << w;
    seen_before_ |= std::uint64_t{seen_} << kMaxWatched * w;
  }
  /// `w` can be seen to wait.
  void waits(int w) { seen_ |= calling_ & 1u << w; }
  /// The call of `w` is over without the lock, or its worker is.
  void gives_up(int w) { leave(w); }
  /// The call of `w` got the lock: which promise to whom that breaks, if any.
  [[gnu::always_inline]] std::optional<Broken> enters(int w) {
    const auto passed = static_cast<std::uint32_t>(seen_before_ >> kMaxWatched * w & kRow);
    leave(w);
    if (passed == 0) [[likely]]
      return std::nullopt;
    return passes(w, passed);
  }

 private:
  struct Waiter {
    bool timed = false;
    Mode mode = Mode::kExclusive;
    int lock = 0;
    std::array<std::uint8_t, kMaxWatched>
        passed_by{};  // As far as that was promised not to happen.
  };
  static constexpr std::uint64_t kRow = 0xff, kColumn = 0x0101010101010101;
  static std::size_t index(int w) { return static_cast<std::size_t>(w); }
  [[gnu::always_inline]] void leave(int w) {
    calling_ &= ~(1u << w);
    seen_ &= ~(1u << w);
    seen_before_ &= ~(kColumn << w | kRow << kMaxWatched * w);
  }
  std::optional<Broken> passes(int w, std::uint32_t passed);
  const char* rule(Mode passed, Mode by) const;
  std::uint32_t allowed() const;

  Fairness fairness_;
  std::uint32_t bound_;
  std::array<Waiter, kMaxWatched> waiters_{};
  std::uint32_t calling_ = 0;
  std::uint32_t seen_ = 0;
  /// Bit 8 w + u: u was seen waiting when the call of w began, and still is.
  std::uint64_t seen_before_ = 0;
};

}  // namespace hobbs
