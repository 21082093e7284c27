// Lamport's bakery: loads and stores only. One seat a worker.
//
//   state of a seat            lock, as its owner                lock, as another
//   number 0, not choosing     choosing, number = largest + 1,   passes it
//                              waits for all smaller
//   choosing                   -                                 waits until it has chosen
//   number n                   -                                 waits if (n, seat) is smaller
//   unlock: number = 0.
//
// Memory orders, line by line. For two workers i and j that compete, either j's choice sees i's
// number, or i sees that j is choosing: two store-load pairs that only seq_cst orders.
//   choosing = 1 and the number loads of the choice, seq_cst: j's half.
//   number = n and the choosing loads, seq_cst: i's half.
//   choosing = 0, release: who reads it (the choosing load is an acquire too) sees the number.
//   number loads while waiting, acquire, with unlock()'s release store: orders the sections, also
//     if the other has come back since, as number = n is a release too.
//
// Claims: kSeats workers, ids 1 to kSeats; first come, first served, where coming means having
// chosen; zero bytes when free. Numbers grow only while the lock is contended without a pause, and
// have 64 bits.
// Source: L. Lamport, "A new solution of Dijkstra's concurrent programming problem", CACM 17(8),
// 1974.
#pragma once

#include "locks/lock.h"

namespace hobbs {

template <class P>
class BakeryLock {
 public:
  static constexpr std::uint32_t kSeats = 8;
  static constexpr Claims claims{
      .fairness = Fairness::kFifo, .max_workers = kSeats, .pristine_when_free = true};

  void lock() {
    const std::uint32_t me = seat();
    const std::uint64_t mine = choose(me);
    for (std::uint32_t other = 0; other < kSeats; ++other) {
      if (other == me) continue;
      while (seats_[other].choosing.load(std::memory_order_seq_cst) != 0) P::pause();
      while (goes_first(seats_[other].number.load(std::memory_order_acquire), other, mine, me)) {
        P::pause();
      }
    }
  }
  void unlock() { seats_[seat()].number.store(0, std::memory_order_release); }

 private:
  static std::uint32_t seat() { return (P::self() - 1) % kSeats; }

  std::uint64_t choose(std::uint32_t me) {
    seats_[me].choosing.store(1, std::memory_order_seq_cst);
    std::uint64_t largest = 0;
    for (const Seat& seat : seats_) {
      const std::uint64_t number = seat.number.load(std::memory_order_seq_cst);
      if (number > largest) largest = number;
    }
    seats_[me].number.store(largest + 1, std::memory_order_seq_cst);
    seats_[me].choosing.store(0, std::memory_order_release);
    return largest + 1;
  }
  static bool goes_first(std::uint64_t number, std::uint32_t other, std::uint64_t mine,
                         std::uint32_t me) {
    return number != 0 && (number < mine || (number == mine && other < me));
  }

  struct Seat {
    typename P::template atomic<std::uint32_t> choosing{};
    typename P::template atomic<std::uint64_t> number{};
  };
  Seat seats_[kSeats];
};

}  // namespace hobbs
