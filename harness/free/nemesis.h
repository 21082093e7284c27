// What is done to the workers while they run, besides the program's own faults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "locks/hooked_platform.h"

namespace hobbs::gang {

struct Nemesis {
  enum class Kind : std::uint8_t {
    kNone,
    kChurn,   // Workers are moved from core to core.
    kYields,  // At hook points: gives the processor away.
    kDelays,  // At hook points: waits, mostly microseconds, rarely milliseconds.
  } kind = Kind::kNone;
};

std::string_view to_string(Nemesis::Kind kind);
/// False if there is no such kind.
bool parse_nemesis(std::string_view text, Nemesis::Kind& kind);

/// Whether it strikes inside the lock's calls, which needs a template over Platform.
bool needs_hooks(Nemesis::Kind kind);

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

/// Arms the calling thread's hook points. `struck` counts; both must outlive the thread's use.
void arm_hooks(Nemesis::Kind kind, Dice* dice, std::atomic<std::uint64_t>* struck);
/// Pauses for about that long without sleeping.
void spin_for_ns(std::int64_t ns);

}  // namespace hobbs::gang
