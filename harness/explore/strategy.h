// Strategies: who moves next, and which of its values a read takes.
//
// A strategy sees a Scene and answers; it never touches the lock. It is asked once per move, and
// once more inside a step that has a choice of its own. begin() opens an execution, end() closes
// it. All randomness comes from the strategy, so a strategy that repeats its answers repeats the
// execution exactly: that is what a replay is.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "harness/explore/schedule.h"
#include "harness/explore/view.h"

namespace hobbs::explore {

/// What a worker does when it moves next.
struct Pending {
  enum class Kind : std::uint8_t {
    kLoad,
    kStore,
    kUpdate,
    kFence,
    kFutexWait,
    kFutexWake,
    kPause,
    kAsk,
    kSection,
    kCall,
  };
  Kind kind = Kind::kCall;
  std::int16_t word = -1;  // Of the operations on memory.

  /// Whether somebody else at the same word may notice.
  bool changes() const { return kind != Kind::kLoad && kind != Kind::kPause; }
};

/// The world as far as a strategy may know it. Masks have bit i for worker i.
struct Scene {
  std::uint32_t ready = 0;    // Can perform their pending operation.
  std::uint32_t drains = 0;   // Have stores in their buffer (TSO).
  std::uint32_t asleep = 0;   // In a futex wait that has not ended: may be woken for no reason.
  std::uint32_t yielded = 0;  // Ready, but asked for others to go first.
  bool clock = false;         // There is a deadline that the clock could move to.
  int current = -1;           // Who stepped last.
  int workers = 0;
  std::array<Pending, kMaxFibres> pending;

  bool is_ready(int worker) const { return (ready >> worker & 1) != 0; }
  /// Whether more than steps can happen now.
  bool other_than_steps() const { return (drains | asleep | (clock ? 1u : 0u)) != 0; }
};

/// A small fast generator (wyrand): deterministic.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0xa0761d6478bd642full;
    const auto wide = static_cast<unsigned __int128>(state_) * (state_ ^ 0xe7037ed1a0b428dbull);
    return static_cast<std::uint64_t>(wide >> 64) ^ static_cast<std::uint64_t>(wide);
  }
  /// Uniform below n, for small n.
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((next() >> 32) * n >> 32);
  }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

class Weather;

class Strategy {
 public:
  virtual ~Strategy() = default;
  /// A new execution; false: nothing is left to be explored.
  virtual bool begin() = 0;
  /// Must name a ready worker, one with a buffered store, a sleeper, or (if scene.clock) the time.
  virtual Move next(const Scene& scene) = 0;
  /// A step of scene.current has `n` > 1 ways to go; 0 is the ordinary one.
  virtual int pick(const Scene& scene, Choice choice, int n) = 0;
  virtual void end() {}
  /// Whoever moves does, in the same move, what is pending of it now.
  virtual void goes_on(const Scene&) {}
  /// Not null: as long as nothing but steps can happen, the strategy draws each evenly among the
  /// ready workers, and whoever asks may do so in its place, with this generator.
  virtual Random* even_steps() { return nullptr; }
  /// Not null: and the same for what pick() answers meanwhile.
  virtual const Weather* even_picks() { return nullptr; }
};

/// How many bits of each byte are set, and where the n-th (from 0) of them is. (The baseline of
/// x86-64 has instructions for neither.)
struct BitsOfByte {
  std::array<std::uint8_t, 256> count{};
  std::array<std::array<std::uint8_t, 8>, 256> position{};
  constexpr BitsOfByte() {
    for (unsigned byte = 0; byte < 256; ++byte) {
      for (std::uint8_t bit = 0; bit < 8; ++bit) {
        if ((byte >> bit & 1) != 0) position[byte][count[byte]++] = bit;
      }
    }
  }
};
inline constexpr BitsOfByte kBitsOfByte;

/// The position of the n-th (from 0) set bit.
inline int nth_bit(std::uint64_t mask, std::uint32_t n) {
  while (n-- != 0) mask &= mask - 1;
  return std::countr_zero(mask);
}

}  // namespace hobbs::explore
