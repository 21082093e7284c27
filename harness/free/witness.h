// The in-place witness: one atomic word a lock that tells who is inside, kept by those who enter.
//
// A worker enters after its acquire has returned and leaves before its release begins, so whoever
// meets another inside has proof that the lock let both in. Dead workers (Slot::dying) do not
// count: who may be let in after them is a matter of the lock's claims, and judged elsewhere.
#pragma once

#include <optional>
#include <string>

#include "harness/free/arena.h"
#include "locks/lock.h"

namespace hobbs::gang {

/// What an entry, exit or conversion met that must not be.
struct Clash {
  const char* rule;
  std::uint32_t other;  // The platform id of who else was inside; 0: not known.
  std::string text;
};

class Witnessing {
 public:
  Witnessing(Arena& arena, const Claims& claims) : arena_(arena), claims_(claims) {}

  /// `after_death` (may be null) becomes true if a dead exclusive holder was still inside.
  std::optional<Clash> enter(Slot& me, std::uint8_t lock, Mode mode, bool* after_death = nullptr);
  std::optional<Clash> leave(Slot& me, std::uint8_t lock, Mode mode);
  /// From shared to exclusive, after the upgrade has returned.
  std::optional<Clash> rise(Slot& me, std::uint8_t lock);
  /// From exclusive to shared, before the downgrade begins.
  std::optional<Clash> sink(Slot& me, std::uint8_t lock);

 private:
  std::optional<Clash> enter_permit(Slot& me, std::uint8_t lock);
  /// The word without the dead; `writer_died` as in enter().
  std::uint64_t living(std::uint64_t word, std::uint8_t lock, bool* writer_died) const;
  std::uint32_t dead_sharers(std::uint8_t lock) const;
  void bury_sharers(std::uint8_t lock);
  std::uint32_t other_inside(const Slot& me, std::uint8_t lock) const;

  Arena& arena_;
  const Claims& claims_;
};

}  // namespace hobbs::gang
