#include "harness/free/tribunal.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "harness/free/recorder.h"
#include "harness/free/story.h"
#include "scenarios/rules/history/accusation.h"
#include "scenarios/rules/history/judge.h"
#include "scenarios/rules/history/verify_certificate.h"

namespace hobbs::gang {
namespace {

// Some tens of milliseconds of search, where intervals do not decide.
constexpr std::uint64_t kSearchBudget = 200'000;

bool is_failure(const hobbs::Violation& violation) {
  return violation.breach == hobbs::Breach::kGroundlessFailure ||
         violation.breach == hobbs::Breach::kGroundlessTimeout ||
         violation.breach == hobbs::Breach::kNoOrder;
}

bool waits(const Operation& call) {
  return call.verb == Verb::kAcquire || call.verb == Verb::kTimed || call.verb == Verb::kUpgrade;
}

/// The calls of each worker in their order, for looking up who was about.
class Calls {
 public:
  explicit Calls(const std::vector<Operation>& operations) {
    for (const Operation& call : operations) of_worker_[call.worker].push_back(&call);
  }

  /// A failure says something of the lock only where nobody else's call can be its reason: a lock
  /// that is passed on to whoever waits is nobody's for a moment, and not to be had either, so a
  /// timeout is groundless for sure only if nobody waited then who conflicts. And a try may fail
  /// because another call changes the lock at the time: it must be left alone.
  bool excuse(const Operation& failed) const {
    const bool tried = failed.outcome == Outcome::kBusy;
    if (!tried && failed.outcome != Outcome::kTimedOut) return false;
    if (!tried && failed.returned_ns < failed.deadline_ns) return false;  // Too early, at any rate.
    return std::any_of(of_worker_.begin(), of_worker_.end(), [&](const auto& worker) {
      return worker.first != failed.worker && excuses(worker.second, failed, tried);
    });
  }

 private:
  static bool excuses(const std::vector<const Operation*>& calls, const Operation& failed,
                      bool tried) {
    auto after = std::partition_point(calls.begin(), calls.end(), [&](const Operation* call) {
      return call->invoked_ns <= failed.returned_ns;
    });
    while (after != calls.begin()) {
      const Operation& other = **--after;
      if (other.returned_ns < failed.invoked_ns) return false;
      const bool conflicts = other.mode == Mode::kExclusive || failed.mode == Mode::kExclusive;
      if (other.lock == failed.lock && (tried || (conflicts && waits(other)))) return true;
    }
    return false;
  }

  std::map<std::uint32_t, std::vector<const Operation*>> of_worker_;
};

/// Failures leave a lock as it was: what remains is a history all the same.
void drop_excused_failures(std::vector<Operation>& operations) {
  std::vector<Operation> kept;
  kept.reserve(operations.size());
  const Calls calls(operations);
  std::copy_if(operations.begin(), operations.end(), std::back_inserter(kept),
               [&](const Operation& call) { return call.pending || !calls.excuse(call); });
  operations = std::move(kept);
}

Breach breach_of(const Accusation& accusation, const Arena& arena) {
  Breach breach;
  breach.rule = accusation.rule;
  breach.summary = "the history of the calls is impossible: " + accusation.summary;
  breach.history = story_of(arena, accusation.violation.certificate);
  breach.evidence = accusation.evidence;
  breach.evidence.push_back("clock: " + describe(arena.clock));
  breach.proven = false;
  return breach;
}

}  // namespace

Ruling judge_recorded(const Arena& arena, const LockSpec& lock, const Circumstances& known) {
  Ruling ruling;
  Recorded recorded = history_of(arena, known.end);
  History& history = recorded.history;
  ruling.judged = history.operations.size();
  drop_excused_failures(history.operations);
  if (!recorded.complete) ruling.undecided = "a round had more calls than are recorded";
  history.disturbances = known.deaths;
  for (std::uint32_t i = 0; known.signals && i < arena.workers.load(); ++i) {
    history.disturbances.push_back(
        {Disturbance::Kind::kSignal, arena.slots[i].id.load(), INT64_MIN, INT64_MAX});
  }
  const Judgement judgement = judge_history(
      history, lock.claims,
      {.home = lock.home, .process_of = known.process_of, .search_budget = kSearchBudget});
  if (!judgement.inconclusive.empty()) ruling.undecided = judgement.inconclusive;
  for (const Accusation& accusation : accusations(judgement, lock.claims, history.clock_error_ns)) {
    const std::string flaw = flaw_in(accusation.violation, history, lock.claims);
    if (!flaw.empty()) {
      // Judge and verifier are ours and disagree: one of them is wrong.
      std::fprintf(stderr, "the judge accuses (%s), and the verifier says: %s\n",
                   accusation.summary.c_str(), flaw.c_str());
      std::abort();
    }
    if (ruling.breach) continue;
    if (known.scarce && is_failure(accusation.violation)) continue;
    ruling.breach = breach_of(accusation, arena);
  }
  return ruling;
}

}  // namespace hobbs::gang
