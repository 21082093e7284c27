// Broken: a reader who is inside already waits behind a writer who waits for him to leave.
//
// Lesson: to prefer writers and to let readers nest are two promises that meet in one place: there
// the lock must know who is inside. Breaks RE-1.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class ForgetfulHost {
 public:
  static constexpr char kind[] = "reentrant";

  void lock() {
    if (is_mine()) {
      ++depth_;
      return;
    }
    writers_.fetch_add(1, std::memory_order_relaxed);
    std::uint32_t seen = 0;
    while (!word_.compare_exchange_strong(seen, kWriter, std::memory_order_acquire,
                                          std::memory_order_relaxed)) {
      seen = 0;
      P::pause();
    }
    writers_.fetch_sub(1, std::memory_order_relaxed);
    owner_.store(P::self(), std::memory_order_relaxed);
    depth_ = 1;
  }
  void unlock() {
    if (--depth_ != 0) return;
    owner_.store(0, std::memory_order_relaxed);
    word_.store(0, std::memory_order_release);
  }
  void lock_shared() {
    if (is_mine()) {
      ++depth_;
      return;
    }
    for (;; P::pause()) {
      if (writers_.load(std::memory_order_relaxed) != 0) continue;  // BUG: not if he reads already.
      std::uint32_t seen = word_.load(std::memory_order_relaxed);
      if (seen != kWriter &&
          word_.compare_exchange_strong(seen, seen + 1, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        return;
      }
    }
  }
  void unlock_shared() {
    if (is_mine()) return unlock();
    word_.fetch_sub(1, std::memory_order_release);
  }

 private:
  static constexpr std::uint32_t kWriter = 1u << 31;

  bool is_mine() const { return owner_.load(std::memory_order_relaxed) == P::self(); }

  typename P::template atomic<std::uint32_t> word_{}, writers_{}, owner_{};
  std::uint32_t depth_ = 0;
};

}  // namespace hobbs::mutants
