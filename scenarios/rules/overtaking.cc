#include "scenarios/rules/overtaking.h"

#include <bit>

namespace hobbs {

/// What is promised to a waiter of one mode about those of another; null: nothing.
const char* Overtaking::rule(Mode passed, Mode by) const {
  const bool reader_passed = passed == Mode::kShared, by_reader = by == Mode::kShared;
  switch (fairness_) {
    case Fairness::kFifo: return reader_passed && by_reader ? nullptr : "FA-3";
    case Fairness::kBoundedBypass: return "FA-4";
    case Fairness::kWriterPreference: return !reader_passed && by_reader ? "FA-1" : nullptr;
    case Fairness::kPhaseFair: return reader_passed && !by_reader ? "FA-2" : nullptr;
    case Fairness::kNone:
    case Fairness::kReaderPreference: break;
  }
  return nullptr;
}

/// How often one worker may pass a waiter to whom something is promised.
std::uint32_t Overtaking::allowed() const {
  switch (fairness_) {
    case Fairness::kBoundedBypass: return bound_;
    case Fairness::kPhaseFair: return 1;
    default: return 0;
  }
}

std::optional<Overtaking::Broken> Overtaking::passes(int w, std::uint32_t passed) {
  const Waiter& me = waiters_[index(w)];
  for (; passed != 0; passed &= passed - 1) {
    const int u = std::countr_zero(passed);
    Waiter& other = waiters_[index(u)];
    if (other.timed || other.lock != me.lock) continue;
    // Passes that nothing is promised about do not count: a reader lets readers by at will.
    const char* const broken = rule(other.mode, me.mode);
    if (broken == nullptr) continue;
    const std::uint32_t times = ++other.passed_by[index(w)];
    if (times > allowed()) return Broken{broken, u, times};
  }
  return std::nullopt;
}

}  // namespace hobbs
