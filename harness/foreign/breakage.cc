#include "harness/foreign/breakage.h"

#include <algorithm>

#include "scenarios/rules/history/accusation.h"
#include "scenarios/rules/history/judge.h"
#include "scenarios/rules/history/verify_certificate.h"

namespace hobbs::foreign {
namespace {

constexpr std::uint64_t kSearchBudget = 200'000;

/// A try may fail because another call changes the lock at the time: it must be left alone.
bool is_excused(const Operation& call, const std::vector<Operation>& all) {
  if (call.pending || call.outcome != Outcome::kBusy) return false;
  return std::any_of(all.begin(), all.end(), [&](const Operation& other) {
    return other.worker != call.worker && other.invoked_ns <= call.returned_ns &&
           other.returned_ns >= call.invoked_ns;
  });
}

std::string names_of(const std::vector<std::size_t>& workers) {
  std::string text;
  for (const std::size_t w : workers) {
    text += (text.empty() ? "worker " : " and worker ") + std::to_string(w + 1);
  }
  return text;
}

Breakage stuck(const Played& played) {
  Breakage found;
  const bool deaths = !played.history.disturbances.empty();
  found.rule = played.in_release ? "LV-2" : deaths ? "CR-5" : "LV-1";
  found.summary = names_of(played.waiting) + (played.waiting.size() == 1 ? " waits" : " wait") +
                  " for ever" + (played.in_release ? " in a release" : "") +
                  (deaths ? ": what the dead worker held or had begun is not recovered"
                          : ", though nobody holds the lock and all others have finished");
  found.evidence = played.evidence;
  return found;
}

bool may_wait_in_release(const AgentLock& lock) {
  return std::any_of(lock.hazards.begin(), lock.hazards.end(), [](const KnownHazard& hazard) {
    return hazard.kind == KnownHazard::Kind::kReleaseMayWait;
  });
}

std::optional<Breakage> judged(const Played& played, const AgentLock& lock,
                               std::string& undecided) {
  History history = played.history;
  std::erase_if(history.operations,
                [&](const Operation& call) { return is_excused(call, played.history.operations); });
  const Judgement judgement = judge_history(
      history, lock.claims,
      {.home = lock.home, .process_of = played.process_of, .search_budget = kSearchBudget});
  for (const Accusation& accusation : accusations(judgement, lock.claims)) {
    const std::string flaw = flaw_in(accusation.violation, history, lock.claims);
    // The clock only orders: how long something lasted by it means nothing.
    if (flaw.empty()) {
      return Breakage{
          accusation.rule, accusation.summary.substr(0, accusation.summary.find(": both for")), {}};
    }
    undecided = "the judge accuses, and its verifier objects: " + flaw;
  }
  if (!judgement.inconclusive.empty()) undecided = judgement.inconclusive;
  return std::nullopt;
}

}  // namespace

std::optional<Breakage> breakage_of(const Played& played, const AgentLock& lock,
                                    std::string& undecided) {
  using End = Played::End;
  if (played.end == End::kUndecided) {
    undecided = played.reason;
    return std::nullopt;
  }
  if (played.end == End::kDied) {
    return Breakage{"LV-2", names_of(played.waiting) + " does not return: " + played.reason, {}};
  }
  if (std::optional<Breakage> found = judged(played, lock, undecided)) return found;
  if (!undecided.empty() || played.end != End::kStuck) return std::nullopt;
  if (played.in_release && may_wait_in_release(lock)) {
    undecided = "a release waits for others, as this lock's is known to do";
    return std::nullopt;
  }
  return stuck(played);
}

}  // namespace hobbs::foreign
