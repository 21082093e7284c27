#include "scenarios/rules/history/verify_certificate.h"

#include <algorithm>
#include <vector>

namespace hobbs {
namespace {

struct Hold {
  std::uint32_t worker;
  long life;               // How many of that id were killed before.
  std::int64_t opened_ns;  // Invocation of the acquire that it goes back to.
  bool exclusive;
  std::int64_t possible_from, certain_from, certain_to, possible_to;
};

long life_of(const Operation& call, const History& history) {
  return std::count_if(history.disturbances.begin(), history.disturbances.end(),
                       [&](const Disturbance& d) {
                         return d.kind == Disturbance::Kind::kKill && d.worker == call.worker &&
                                d.from_ns < call.invoked_ns &&
                                d.to_ns - 2 * history.clock_error_ns < call.invoked_ns;
                       });
}

bool same(const Operation& a, const Operation& b) {
  return a.worker == b.worker && a.lock == b.lock && a.verb == b.verb &&
         a.invoked_ns == b.invoked_ns;
}

/// Every hold of this lock, each from its outermost acquire to the release that ends it.
std::vector<Hold> holds_of(const History& history, std::uint8_t lock, const Claims& claims) {
  std::vector<Operation> calls = history.operations;
  std::erase_if(calls, [lock](const Operation& call) { return call.lock != lock; });
  std::stable_sort(calls.begin(), calls.end(), [](const Operation& a, const Operation& b) {
    return a.worker != b.worker ? a.worker < b.worker : a.invoked_ns < b.invoked_ns;
  });
  std::vector<Hold> found;
  int depth = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Operation& call = calls[i];
    const long life = life_of(call, history);
    if (i == 0 || calls[i - 1].worker != call.worker || life_of(calls[i - 1], history) != life) {
      depth = 0;
    }
    if (call.verb == Verb::kAcquire || call.verb == Verb::kTry || call.verb == Verb::kTimed) {
      if (!call.pending && !holds(call.outcome)) continue;
      if (depth++ > 0) continue;
      const std::int64_t certain = call.pending ? INT64_MAX : call.returned_ns;
      found.push_back({call.worker, life, call.invoked_ns, call.mode == Mode::kExclusive,
                       call.invoked_ns, certain, INT64_MAX, INT64_MAX});
    } else if (call.verb == Verb::kRelease && depth > 0) {
      const bool exclusive = found.back().exclusive;
      if (exclusive != (call.mode == Mode::kExclusive) && !(exclusive && claims.reentrant))
        continue;
      if (--depth > 0) continue;
      const std::int64_t opened_ns = found.back().opened_ns;
      for (Hold& hold : found) {  // With an upgrade there are two: shared, and within it exclusive.
        if (hold.worker != call.worker || hold.opened_ns != opened_ns) continue;
        hold.certain_to = std::min(hold.certain_to, call.invoked_ns);
        if (!call.pending) hold.possible_to = std::min(hold.possible_to, call.returned_ns);
      }
    } else if (depth > 0 && !call.pending && call.verb == Verb::kDowngrade) {
      found.back().certain_to = call.invoked_ns;
      found.back().possible_to = call.returned_ns;
      found.push_back({call.worker, life, found.back().opened_ns, false, call.invoked_ns,
                       call.invoked_ns, INT64_MAX, INT64_MAX});
    } else if (depth > 0 && !call.pending && holds(call.outcome)) {
      found.push_back({call.worker, life, found.back().opened_ns, true, call.invoked_ns,
                       call.returned_ns, INT64_MAX, INT64_MAX});
    }
  }
  for (Hold& hold : found) {  // The dead hold nothing certainly, once they may be dead.
    for (const Disturbance& d : history.disturbances) {
      if (d.kind != Disturbance::Kind::kKill || d.worker != hold.worker) continue;
      const long earlier = std::count_if(
          history.disturbances.begin(), history.disturbances.end(), [&](const Disturbance& other) {
            return other.kind == d.kind && other.worker == d.worker && other.from_ns < d.from_ns;
          });
      if (claims.crash == CrashBehaviour::kStuck || earlier != hold.life) continue;
      std::int64_t alive_until = d.from_ns;
      for (const Operation& call : calls) {
        if (call.worker != hold.worker || life_of(call, history) != hold.life) continue;
        alive_until = std::max(alive_until, call.pending ? call.invoked_ns : call.returned_ns + 1);
      }
      hold.certain_to = std::min(hold.certain_to, std::max(alive_until, hold.certain_from));
      if (claims.crash == CrashBehaviour::kTakeover) continue;
      hold.possible_to = std::min(hold.possible_to, std::max(d.to_ns, hold.possible_from));
    }
  }
  return found;
}

bool overlap(const Hold& a, const Hold& b, std::int64_t margin) {
  const std::int64_t from = std::max(a.certain_from, b.certain_from);
  const std::int64_t to = std::min(a.certain_to, b.certain_to);
  if ((a.worker == b.worker && a.life == b.life) || !(a.exclusive || b.exclusive) || from >= to)
    return false;
  return margin == INT64_MAX || to == INT64_MAX || to - from >= margin;
}

/// Whether this hold may explain the failure: it can have been held at some instant of it.
bool explains(const Hold& hold, const Operation& failure, const std::vector<Hold>& all) {
  if (hold.worker == failure.worker) return false;
  if (!hold.exclusive && failure.mode == Mode::kShared) return false;
  if (hold.possible_to < failure.invoked_ns || hold.possible_from > failure.returned_ns)
    return false;
  // Unless it was over before another hold began, or began only after another (which one that never
  // ends must have).
  for (const Hold& other : all) {
    if (&other == &hold || !(other.exclusive || hold.exclusive)) continue;
    const bool over =
        hold.certain_from < other.certain_from && other.certain_from < failure.invoked_ns;
    const bool later = other.certain_to > failure.returned_ns &&
                       (other.certain_from < hold.certain_from || hold.possible_to == INT64_MAX);
    if (over || later) return false;
  }
  return true;
}

}  // namespace

std::string flaw_in(const Violation& violation, const History& history, const Claims& claims) {
  if (violation.certificate.empty()) return "the certificate is empty";
  if (violation.certificate.size() > 5) return "the certificate has more than five calls";
  for (const Operation& call : violation.certificate) {
    const bool known = std::any_of(history.operations.begin(), history.operations.end(),
                                   [&](const Operation& other) { return same(call, other); });
    if (!known) return "a call of the certificate is not in the history";
  }
  const std::vector<Hold> all = holds_of(history, violation.certificate.front().lock, claims);
  const auto named = [&](const Hold& hold) {
    return std::any_of(violation.certificate.begin(), violation.certificate.end(),
                       [&](const Operation& call) {
                         return call.worker == hold.worker && call.invoked_ns == hold.opened_ns;
                       });
  };
  if (violation.breach == Breach::kOverlap) {
    for (const Hold& a : all) {
      for (const Hold& b : all) {
        if (named(a) && named(b) && overlap(a, b, violation.margin_ns)) return "";
      }
    }
    return "no two of its holds certainly overlap by the margin";
  }
  if (violation.breach == Breach::kGroundlessFailure ||
      violation.breach == Breach::kGroundlessTimeout) {
    for (const Operation& call : violation.certificate) {
      if (call.outcome != Outcome::kBusy && call.outcome != Outcome::kTimedOut) continue;
      if (std::none_of(all.begin(), all.end(),
                       [&](const Hold& hold) { return explains(hold, call, all); })) {
        return "";
      }
    }
    return "some hold may explain each of its failures";
  }
  return "";
}

}  // namespace hobbs
