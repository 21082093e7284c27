// Who holds a re-entrant lock, and how often: what the thread's and the process's have in common.
//
//   state            claim by the owner / another   drop by the owner           drop by another
//   free             - / not mine: acquire first    -                           refused
//   owned, depth 1   depth 2 / as above             depth 0, free: release      refused
//   owned, depth n   depth n+1 / as above           depth n-1                   refused
//
// Memory orders. The owner word is relaxed: a caller finds its own identity there only if it wrote
// it itself and has not cleared it since, and for that coherence suffices; any other value, however
// stale, is not its own. The depth is relaxed: only the owner touches it. The lock beneath orders
// the sections; the owner is cleared before that is released, else it would wipe out the next
// owner.
//
// An identity is never used twice (identity.h), so neither a forked child, however forked, nor a
// thread with a recycled id is ever taken for an owner.
#pragma once

#include "locks/errors.h"
#include "locks/reference/identity.h"

namespace hobbs {

template <class P>
class Ownership {
 public:
  static constexpr std::uint32_t kMaxDepth = UINT32_MAX;

  bool is_mine() const { return owner_.load(std::memory_order_relaxed) == Caller<P>::identity(); }

  /// The caller has just acquired the lock beneath.
  void begin() {
    owner_.store(Caller<P>::identity(), std::memory_order_relaxed);
    depth_.store(1, std::memory_order_relaxed);
  }
  /// One level more, by the owner; kOutOfRange, and nothing changed, beyond kMaxDepth.
  void deepen() {
    const std::uint32_t depth = depth_.load(std::memory_order_relaxed);
    if (depth == kMaxDepth) throw LockError(LockErrorKind::kOutOfRange, "acquired too deeply");
    depth_.store(depth + 1, std::memory_order_relaxed);
  }
  /// One level less, by the owner; true if the lock beneath is to be released now.
  bool end() {
    const std::uint32_t left = depth_.load(std::memory_order_relaxed) - 1;
    depth_.store(left, std::memory_order_relaxed);
    if (left != 0) return false;
    owner_.store(0, std::memory_order_relaxed);
    return true;
  }
  /// Nobody's, whoever it was.
  void forget() {
    owner_.store(0, std::memory_order_relaxed);
    depth_.store(0, std::memory_order_relaxed);
  }

  /// The caller's levels.
  std::uint32_t depth() const { return is_mine() ? depth_.load(std::memory_order_relaxed) : 0; }

 private:
  typename P::template atomic<std::uint64_t> owner_{};
  typename P::template atomic<std::uint32_t> depth_{};
};

}  // namespace hobbs
