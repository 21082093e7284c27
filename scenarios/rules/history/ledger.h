// Collects breaches while an engine reads a history: counts, and the earliest of each class.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "scenarios/rules/history/judgement.h"
#include "scenarios/rules/history/logged_call.h"

namespace hobbs {

class Ledger {
 public:
  /// From this instant on nothing can be said: a call was made that the contract leaves open.
  void outside_contract(std::int64_t at_ns) {
    if (at_ns < outside_from_ns_) outside_from_ns_ = at_ns;
  }
  /// The same, of a call that may never have taken effect.
  void perhaps_outside_contract(std::int64_t at_ns) {
    if (at_ns < perhaps_outside_from_ns_) perhaps_outside_from_ns_ = at_ns;
  }
  /// The engine met what it cannot decide: another must look at the whole, unless it accuses.
  void needs_search() { needs_search_ = true; }
  /// The engine's premises do not hold here: nothing that it recorded counts.
  void wrong_engine() { needs_search_ = wrong_engine_ = true; }

  /// Null pointers among the calls are left out.
  void record(Breach breach, std::int64_t at_ns, std::int64_t margin_ns,
              std::initializer_list<const LoggedCall*> calls);

  bool search_needed() const { return needs_search_; }
  /// Whether anything was recorded that nothing silences.
  bool accuses() const;
  /// Whether something kept the engine from saying "legal" or "illegal": where, or INT64_MAX.
  std::int64_t silenced_from_ns() const;
  Judgement judgement(const LockLogs& lock, std::uint8_t number) const;

 private:
  struct Entry {
    std::int64_t at_ns = INT64_MAX;
    std::int64_t margin_ns = 0;
    std::array<LoggedCall, 5> calls{};
    std::size_t size = 0;
    std::uint64_t count = 0;
  };
  std::array<Entry, kBreaches> entries_{};
  std::int64_t outside_from_ns_ = INT64_MAX;
  std::int64_t perhaps_outside_from_ns_ = INT64_MAX;
  bool needs_search_ = false;
  bool wrong_engine_ = false;
};

}  // namespace hobbs
