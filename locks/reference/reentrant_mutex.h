// Re-entrant mutex, timed: a futex mutex, its owner's id and a depth.
//
//   state               lock by owner / other       try_lock by owner / other   unlock by owner /
//   other free                - / owner=me, depth 1       - / owner=me, depth 1       - /
//   kNotLocked owner, depth 1      depth 2 / sleeps            depth 2 / false             owner=0,
//   free / kNotOwner owner, depth n      depth n+1 / sleeps          depth n+1 / false depth n-1 /
//   kNotOwner
//
// Memory orders. The inner mutex orders the sections. The owner word is relaxed: a worker finds its
// own id there only if it wrote it itself and has not cleared it since, and for that coherence
// suffices; any other value, however stale, sends it to the inner mutex. The owner is cleared
// before the inner unlock, else it would wipe out the next holder's id. The depth is relaxed: only
// the holder touches it.
//
// Claims: re-entrant; refuses the release of a non-holder; no fairness; zero bytes when free. A
// depth beyond kMaxDepth is refused, with the depth unchanged: lock() throws std::system_error
// (std::errc::resource_unavailable_try_again), the tries are false.
// Source: pthread_mutexattr_settype(3), PTHREAD_MUTEX_RECURSIVE.
#pragma once

#include <system_error>

#include "locks/lock.h"
#include "locks/reference/futex_mutex.h"
#include "locks/reference/waiting.h"

namespace hobbs {

template <class P>
class ReentrantMutex : public TimedLocking<ReentrantMutex<P>, P> {
 public:
  static constexpr std::uint32_t kMaxDepth = UINT32_MAX - 1;
  static constexpr Claims claims{.reentrant = true,
                                 .checks_misuse = true,
                                 .pristine_when_free = true,
                                 .max_depth = kMaxDepth,
                                 .waits_asleep = true};

  void lock() {
    if (is_mine()) {
      if (!deepen()) {
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
      }
      return;
    }
    mutex_.lock();
    own();
  }
  bool try_lock() {
    if (is_mine()) return deepen();
    return mutex_.try_lock() && own();
  }
  bool try_lock_until(typename P::time_point deadline) {
    if (is_mine()) return deepen();
    return mutex_.try_lock_until(deadline) && own();
  }
  using TimedLocking<ReentrantMutex, P>::try_lock_until;

  /// kReleased (one level), or kNotOwner or kNotLocked and nothing has changed.
  Outcome unlock() {
    if (!is_mine()) {
      return owner_.load(std::memory_order_relaxed) == 0 ? Outcome::kNotLocked : Outcome::kNotOwner;
    }
    const std::uint32_t left = depth_.load(std::memory_order_relaxed) - 1;
    depth_.store(left, std::memory_order_relaxed);
    if (left == 0) {
      owner_.store(0, std::memory_order_relaxed);
      mutex_.unlock();
    }
    return Outcome::kReleased;
  }

 private:
  bool is_mine() const { return owner_.load(std::memory_order_relaxed) == P::self(); }
  bool own() {
    owner_.store(P::self(), std::memory_order_relaxed);
    depth_.store(1, std::memory_order_relaxed);
    return true;
  }
  bool deepen() {
    const std::uint32_t depth = depth_.load(std::memory_order_relaxed);
    if (depth == kMaxDepth) return false;
    depth_.store(depth + 1, std::memory_order_relaxed);
    return true;
  }

  FutexMutex<P> mutex_;
  typename P::template atomic<std::uint32_t> owner_{};
  typename P::template atomic<std::uint32_t> depth_{};  // Only the owner touches it.
};

}  // namespace hobbs
