// Broken: two workers raise a flag each and wait for the other's to come down; neither gives way.
//
// Lesson: exclusion is the easy half. Both spin for ever, awake and busy, so nothing that looks for
// sleepers sees it: only who would be stuck even if left alone is stuck. Breaks LV-1.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace hobbs::mutants {

template <class P>
class StubbornFlags {
 public:
  static constexpr char kind[] = "mutex";
  static constexpr unsigned max_workers = 2;

  void lock() {
    flags_[me()].store(1, std::memory_order_seq_cst);
    while (flags_[1 - me()].load(std::memory_order_seq_cst) != 0) P::pause();  // BUG: no turn.
  }
  void unlock() { flags_[me()].store(0, std::memory_order_seq_cst); }

 private:
  static std::uint32_t me() { return P::self() - 1; }

  std::array<typename P::template atomic<std::uint32_t>, 2> flags_{};
};

}  // namespace hobbs::mutants
