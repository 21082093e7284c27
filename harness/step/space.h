// The states of a search in little memory: each distinct Local and each distinct content of the
// shared bytes is kept once, and a state is a head and their numbers. Moves are remembered, so that
// the modelled processor runs once for each pair of a Local and shared bytes, not once a
// transition.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "harness/step/early_drains.h"
#include "harness/step/world.h"

namespace hobbs::step {

/// Byte strings as numbers 0, 1, 2, ...
class Pool {
 public:
  Pool();
  /// The number of `bytes`, and whether it is new.
  std::pair<std::uint32_t, bool> insert(std::string_view bytes);
  std::string_view operator[](std::uint32_t number) const {
    const Entry& entry = entries_[number];
    return {blocks_[entry.block].data() + entry.at, entry.length};
  }
  std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()); }

 private:
  struct Entry {
    std::uint32_t block, at, length;
    std::uint32_t hash;
  };
  std::uint32_t& slot_of(std::string_view bytes, std::uint64_t hash);
  void grow();

  std::vector<std::uint32_t> slots_;  // Number + 1; 0: empty.
  std::vector<Entry> entries_;
  std::vector<std::string> blocks_;
};

/// A state in a search. Copied freely; only the first workers() entries mean anything.
struct Compact {
  Head head;
  std::uint32_t shared = 0;
  std::uint32_t locals[kMaxStepWorkers] = {};
};

class Space {
 public:
  /// `calm`, not owned, may be null: words to whose stores drain_calm() applies.
  explicit Space(World& world, const CalmWords* calm = nullptr);

  Compact compact(const State& state);
  State expand(const Compact& state) const;
  void enabled(Compact& state, std::vector<Transition>& transitions);
  Incident step(Compact& state, const Transition& transition, Event& event);

  /// Drains worker `w`'s oldest stores as long as they are to calm words: how many that were.
  std::uint8_t drain_calm(Compact& state, std::uint8_t w);
  /// Whether the state shows that a calm word is none; surprises() says which.
  bool is_uneasy(const Compact& state);

  /// Where a worker stands.
  std::uint64_t rip_of(std::uint32_t local) const { return rips_[local]; }
  /// All addresses at which workers have stopped inside a call.
  std::vector<std::uint64_t> stops() const;
  std::uint32_t distinct_locals() const { return locals_.size(); }
  std::uint32_t distinct_shared() const { return shared_.size(); }
  std::uint64_t moves_made() const { return moves_.size(); }
  /// What the search assumed and is not so. Words that a move has changed though the runner was
  /// told that nobody changes them, words that are not calm, and whether somebody pauses (which
  /// matters if there are calm words).
  struct Surprises {
    SharedWords changing, not_calm;
    bool pauses = false;
    bool any() const { return pauses || changing.any() || not_calm.any(); }
  };
  const Surprises& surprises() const { return surprises_; }
  bool is_surprised() const { return is_surprised_; }  // surprises().any(), at no cost.

 private:
  class CompactBody;
  struct MoveKey {
    std::uint32_t local = 0, shared = 0;
    std::uint64_t input = 0;
    bool operator==(const MoveKey&) const = default;
  };
  struct MoveEntry {
    MoveKey key;
    std::uint32_t local = 0, shared = 0;  // After it.
    std::uint32_t move = 0;               // 1 + index in moves_; 0: an empty slot.
  };
  const MoveEntry& move(std::uint32_t local, std::uint32_t shared, const Input& input);
  void look_for_surprises(std::string_view before);
  MoveEntry& entry_of(const MoveKey& key);
  std::uint32_t woken(std::uint32_t local, std::int64_t result);
  std::uint32_t number_of(const Local& local);
  const Pending& pending(std::uint32_t local, std::uint32_t shared);
  void look_for_uneasy_death(const Compact& state, std::size_t w, const Move& move);
  void note_not_calm(std::uint64_t bits);
  Nearness near(const Local& local);

  World& world_;
  const CalmWords* const calm_;
  Pool locals_, shared_;
  std::vector<MoveEntry> table_;
  std::vector<Move> moves_;
  std::vector<Pending> pending_;        // By local; interest is read from registers only.
  std::vector<std::uint8_t> known_;     // Whether pending_ is filled in.
  std::vector<std::uint8_t> buffered_;  // By local.
  std::vector<std::uint64_t> rips_;     // By local.
  std::vector<Nearness> near_;          // By local, if there are calm words.
  std::unordered_map<std::uint64_t, std::uint32_t> woken_;
  Surprises surprises_;
  bool is_surprised_ = false;
  Local local_;  // Scratch.
  Shared content_;
  std::string bytes_;
};

/// 64 well-mixed bits.
std::uint64_t hash_of(std::string_view bytes);

}  // namespace hobbs::step
