#include "harness/free/witness.h"

#include <fmt/format.h>

namespace hobbs::gang {
namespace {

constexpr std::uint64_t exclusive_word(std::uint32_t id) {
  return static_cast<std::uint64_t>(id) << 32;
}
constexpr std::uint32_t writer_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32);
}
constexpr std::uint32_t sharers_of(std::uint64_t word) { return static_cast<std::uint32_t>(word); }

}  // namespace

std::uint32_t Witnessing::other_inside(const Slot& me, std::uint8_t lock) const {
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    const Slot& slot = arena_.slots[i];
    if (&slot != &me && slot.dying.load() == 0 && slot.inside[lock].load() != kOutside) {
      return slot.id.load();
    }
  }
  return 0;
}

std::uint32_t Witnessing::dead_sharers(std::uint8_t lock) const {
  std::uint32_t dead = 0;
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    const Slot& slot = arena_.slots[i];
    dead += slot.dying.load() != 0 && slot.inside[lock].load() == kInsideShared ? 1 : 0;
  }
  return dead;
}

void Witnessing::bury_sharers(std::uint8_t lock) {
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    Slot& slot = arena_.slots[i];
    if (slot.dying.load() != 0 && slot.inside[lock].load() == kInsideShared) {
      slot.inside[lock].store(kOutside);
    }
  }
}

std::uint64_t Witnessing::living(std::uint64_t word, std::uint8_t lock, bool* writer_died) const {
  if (word == 0) return 0;
  std::uint64_t rest = word;
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    const Slot& slot = arena_.slots[i];
    if (slot.dying.load() == 0 || slot.id.load() != writer_of(word) || writer_of(word) == 0) {
      continue;
    }
    rest = sharers_of(word);
    if (writer_died != nullptr) *writer_died = true;
  }
  return rest - dead_sharers(lock);
}

std::optional<Clash> Witnessing::enter_permit(Slot& me, std::uint8_t lock) {
  const std::uint32_t inside = sharers_of(arena_.witnesses[lock].word.fetch_add(1)) + 1;
  me.inside[lock].store(kInsideShared);
  if (inside <= claims_.permits + dead_sharers(lock)) return std::nullopt;
  return Clash{"ME-6", other_inside(me, lock),
               fmt::format("{} are inside a semaphore of {}", inside, claims_.permits)};
}

std::optional<Clash> Witnessing::enter(Slot& me, std::uint8_t lock, Mode mode, bool* after_death) {
  if (claims_.semaphore) return enter_permit(me, lock);
  std::atomic<std::uint64_t>& at = arena_.witnesses[lock].word;
  const bool shared = mode == Mode::kShared;
  const std::uint32_t id = me.id.load();
  std::uint64_t word = at.load();
  while (true) {
    bool writer_died = false;
    const std::uint64_t rest = living(word, lock, &writer_died);
    if (writer_of(rest) != 0) {
      return Clash{shared ? "RW-1" : "ME-1", writer_of(rest),
                   fmt::format("worker {} was let in {}, and worker {} is inside exclusively", id,
                               shared ? "shared" : "exclusively", writer_of(rest))};
    }
    if (!shared && sharers_of(rest) != 0) {
      return Clash{"RW-1", other_inside(me, lock),
                   fmt::format("worker {} was let in exclusively, and {} are inside shared", id,
                               sharers_of(rest))};
    }
    // The dead who shared stay in the count until somebody comes in exclusively.
    const std::uint64_t next = shared ? std::uint64_t{sharers_of(word)} + 1 : exclusive_word(id);
    if (!at.compare_exchange_weak(word, next)) continue;
    if (!shared) bury_sharers(lock);
    me.inside[lock].store(shared ? kInsideShared : kInsideExclusive);
    if (after_death != nullptr) *after_death = writer_died;
    return std::nullopt;
  }
}

std::optional<Clash> Witnessing::leave(Slot& me, std::uint8_t lock, Mode mode) {
  std::atomic<std::uint64_t>& at = arena_.witnesses[lock].word;
  me.inside[lock].store(kOutside);
  if (claims_.semaphore || mode == Mode::kShared) {
    at.fetch_sub(1);
    return std::nullopt;  // Whoever came in beside us was stopped at the door.
  }
  std::uint64_t word = exclusive_word(me.id.load());
  if (at.compare_exchange_strong(word, 0)) return std::nullopt;
  return Clash{sharers_of(word) != 0 ? "RW-1" : "ME-1", writer_of(word),
               fmt::format("worker {} was inside exclusively, and others came in: writer {}, {} "
                           "sharers",
                           me.id.load(), writer_of(word), sharers_of(word))};
}

std::optional<Clash> Witnessing::rise(Slot& me, std::uint8_t lock) {
  std::uint64_t word = 1;
  if (!arena_.witnesses[lock].word.compare_exchange_strong(word, exclusive_word(me.id.load()))) {
    return Clash{"RW-4", writer_of(word),
                 fmt::format("worker {} was upgraded while others were inside: writer {}, {} "
                             "sharers with it",
                             me.id.load(), writer_of(word), sharers_of(word))};
  }
  me.inside[lock].store(kInsideExclusive);
  return std::nullopt;
}

std::optional<Clash> Witnessing::sink(Slot& me, std::uint8_t lock) {
  std::uint64_t word = exclusive_word(me.id.load());
  if (!arena_.witnesses[lock].word.compare_exchange_strong(word, 1)) {
    return Clash{"RW-1", writer_of(word),
                 fmt::format("worker {} was inside exclusively, and others came in: writer {}, {} "
                             "sharers",
                             me.id.load(), writer_of(word), sharers_of(word))};
  }
  me.inside[lock].store(kInsideShared);
  return std::nullopt;
}

}  // namespace hobbs::gang
