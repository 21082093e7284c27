#include "scenarios/rules/overtaking.h"

#include <bit>

namespace hobbs {

const char* Overtaking::rule_broken(const Waiter& passed, Mode by, std::uint32_t times) const {
  const bool reader_passed = passed.mode == Mode::kShared, by_reader = by == Mode::kShared;
  switch (fairness_) {
    case Fairness::kFifo: return reader_passed && by_reader ? nullptr : "FA-3";
    case Fairness::kBoundedBypass: return times > bound_ ? "FA-4" : nullptr;
    case Fairness::kWriterPreference: return !reader_passed && by_reader ? "FA-1" : nullptr;
    case Fairness::kPhaseFair: return reader_passed && !by_reader && times > 1 ? "FA-2" : nullptr;
    case Fairness::kNone:
    case Fairness::kReaderPreference: break;
  }
  return nullptr;
}

std::optional<Overtaking::Broken> Overtaking::passes(int w, std::uint32_t passed) {
  const Waiter& me = waiters_[index(w)];
  for (; passed != 0; passed &= passed - 1) {
    const int u = std::countr_zero(passed);
    Waiter& other = waiters_[index(u)];
    if (other.timed || other.lock != me.lock) continue;
    const std::uint32_t times = ++other.passed_by[index(w)];
    if (const char* rule = rule_broken(other, me.mode, times)) return Broken{rule, u, times};
  }
  return std::nullopt;
}

}  // namespace hobbs
