#include "scenarios/rules/overtaking.h"

namespace hobbs {

void Overtaking::calls(int w, int lock, Mode mode, bool timed) {
  Waiter& me = waiters_[index(w)];
  me = {};
  me.calling = true;
  me.timed = timed;
  me.mode = mode;
  me.lock = lock;
  for (int u = 0; u < kMaxWatched; ++u) {
    if (waiters_[index(u)].seen) me.seen_before |= 1u << u;
  }
}

void Overtaking::leave(int w) {
  waiters_[index(w)] = {};
  for (Waiter& other : waiters_) other.seen_before &= ~(1u << w);
}

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

std::optional<Overtaking::Broken> Overtaking::enters(int w) {
  const Waiter me = waiters_[index(w)];
  leave(w);
  for (int u = 0; u < kMaxWatched; ++u) {
    Waiter& other = waiters_[index(u)];
    const bool was_before = (me.seen_before >> u & 1) != 0;
    if (!was_before || other.timed || other.lock != me.lock) continue;
    const std::uint32_t times = ++other.passed_by[index(w)];
    if (const char* rule = rule_broken(other, me.mode, times)) return Broken{rule, u, times};
  }
  return std::nullopt;
}

}  // namespace hobbs
