// Broken: a timed acquire goes through a turnstile, and waits there without its deadline.
//
// Lesson: a deadline belongs to every wait of a call. Who stands in the turnstile waits for the
// holder for as long as that stays, and so does a timed call behind it. Needs three workers, and a
// holder that outstays the deadline. Breaks TO-3.
#pragma once

#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class EndlessTurnstile {
 public:
  void lock() {
    take(turnstile_);
    take(word_);
    give(turnstile_);
  }
  bool try_lock_until(typename P::time_point deadline) {
    take(turnstile_);  // BUG: without the deadline.
    bool got = true;
    while (word_.exchange(1, std::memory_order_acquire) != 0) {
      if (P::futex_wait(word_, 1, deadline) == P::wait_result::timed_out) {
        got = false;
        break;
      }
    }
    give(turnstile_);
    return got;
  }
  void unlock() { give(word_); }

 private:
  using Word = typename P::template atomic<std::uint32_t>;

  static void take(Word& word) {
    while (word.exchange(1, std::memory_order_acquire) != 0) P::futex_wait(word, 1);
  }
  static void give(Word& word) {
    word.store(0, std::memory_order_release);
    P::futex_wake(word, 1);
  }

  Word turnstile_{};
  Word word_{};
};

}  // namespace hobbs::mutants
