// What the world's workers call, and what must hold when a call returns.
#include "harness/step/world.h"

namespace hobbs::step {
namespace {

std::string name_of(std::size_t w) { return "worker " + std::to_string(w + 1); }

CallKind call_of(const hobbs::Step& step, bool holds_shared) {
  const bool shared = step.mode == Mode::kShared;
  switch (step.verb) {
    case Verb::kTry: return shared ? CallKind::kTryShared : CallKind::kTry;
    case Verb::kTimed: return shared ? CallKind::kTimedShared : CallKind::kTimed;
    case Verb::kRelease: return holds_shared ? CallKind::kReleaseShared : CallKind::kRelease;
    case Verb::kUpgrade: return CallKind::kUpgrade;
    case Verb::kTryUpgrade: return CallKind::kTryUpgrade;
    case Verb::kDowngrade: return CallKind::kDowngrade;
    default: return shared ? CallKind::kAcquireShared : CallKind::kAcquire;
  }
}

bool acquires(Verb verb) {
  return verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
}

bool converts(Verb verb) {
  return verb == Verb::kUpgrade || verb == Verb::kTryUpgrade || verb == Verb::kDowngrade;
}

}  // namespace

LockOps World::calls_made(const LockOps& ops, const Program& program) {
  LockOps made = ops;
  made.acquire = made.try_acquire = made.acquire_shared = made.try_acquire_shared = nullptr;
  made.acquire_until = made.acquire_shared_until = nullptr;
  for (const auto& steps : program.workers) {
    for (const hobbs::Step& step : steps) {
      if (!acquires(step.verb)) continue;
      switch (call_of(step, false)) {
        case CallKind::kTry: made.try_acquire = ops.try_acquire; break;
        case CallKind::kTimed: made.acquire_until = ops.acquire_until; break;
        case CallKind::kAcquireShared: made.acquire_shared = ops.acquire_shared; break;
        case CallKind::kTryShared: made.try_acquire_shared = ops.try_acquire_shared; break;
        case CallKind::kTimedShared: made.acquire_shared_until = ops.acquire_shared_until; break;
        default: made.acquire = ops.acquire; break;
      }
    }
  }
  return made;
}

bool World::can_run(const LockSpec& lock, const Program& program) {
  for (const auto& steps : program.workers) {
    if (steps.size() > kMaxStepsPerWorker) return false;
    for (const hobbs::Step& step : steps) {
      if (step.verb == Verb::kRelease) continue;
      if (!acquires(step.verb) && !converts(step.verb)) return false;
      if (step.verb == Verb::kAcquire && step.amount > 1) return false;
      if (entry_of(lock.real, call_of(step, false)) == 0) return false;
    }
  }
  return true;
}

bool World::next_call(WorkerHead& worker, std::size_t w, CallKind& call) const {
  const std::vector<hobbs::Step>& steps = program_.workers[w];
  while (worker.step < steps.size() && !acquires(steps[worker.step].verb) && !worker.holds()) {
    ++worker.step;  // The acquire failed: there is nothing to release or convert.
  }
  if (worker.step == steps.size()) return false;
  call = call_of(steps[worker.step], worker.shared != 0);
  return true;
}

Incident World::finish_call(Head& head, std::size_t w, Outcome outcome) const {
  WorkerHead& worker = head.workers[w];
  const hobbs::Step& step = program_.workers[w][worker.step];
  worker.phase = Phase::kBetween;
  ++worker.step;
  Incident incident;
  if (step.verb == Verb::kRelease) {
    if (outcome != Outcome::kReleased) {
      incident = Incident::violation(
          "MU-2", name_of(w) +
                      "'s release of its own hold was refused: " + std::string(to_string(outcome)));
    }
  } else if (step.verb == Verb::kDowngrade) {
    ++(outcome == Outcome::kReleased ? worker.shared : worker.exclusive);
    incident = conflict(head, w);
  } else if (converts(step.verb)) {
    ++(holds(outcome) ? worker.exclusive : worker.shared);
    incident = conflict(head, w);
  } else {
    incident =
        holds(outcome) ? after_acquire(head, w, step, outcome) : refused(head, w, step, outcome);
  }
  worker.bits = 0;
  if (worker.step == program_.workers[w].size()) worker.phase = Phase::kDone;
  return incident;
}

Incident World::refused(const Head& head, std::size_t w, const hobbs::Step& step,
                        Outcome outcome) const {
  const WorkerHead& worker = head.workers[w];
  const std::string what(to_string(outcome));
  if (outcome == Outcome::kInterrupted && worker.has(WorkerHead::kSignalled)) return {};
  switch (step.verb) {
    case Verb::kTimed:
      if (outcome != Outcome::kTimedOut) break;
      if (worker.has(WorkerHead::kTimedOut)) return {};
      return Incident::violation("TO-1",
                                 name_of(w) + " timed out though its deadline had not passed");
    case Verb::kTry:
      if (outcome != Outcome::kBusy) break;
      if (!worker.has(WorkerHead::kAlone) || lock_.claims.spurious_try_failure) return {};
      return Incident::violation(
          "TR-2", name_of(w) + "'s try failed on a lock that nobody held or touched");
    default: break;
  }
  return Incident::violation("ME-4", name_of(w) + "'s acquire gave up: " + what);
}

Incident World::after_acquire(Head& head, std::size_t w, const hobbs::Step& step,
                              Outcome outcome) const {
  WorkerHead& worker = head.workers[w];
  if (outcome == Outcome::kOwnerDied && head.any_dead == 0) {
    return Incident::violation("CR-3", name_of(w) + " was told of a death that never was");
  }
  if (head.died_holding != 0) {
    if (lock_.claims.crash == CrashBehaviour::kOwnerDied && outcome != Outcome::kOwnerDied &&
        step.mode == Mode::kExclusive) {
      return Incident::violation("CR-1",
                                 name_of(w) + " got a dead owner's lock without being told");
    }
    head.died_holding = 0;
  }
  ++(step.mode == Mode::kExclusive ? worker.exclusive : worker.shared);
  return conflict(head, w);
}

/// What a worker that has just been given the lock must not find.
Incident World::conflict(const Head& head, std::size_t w) const {
  const WorkerHead& mine = head.workers[w];
  unsigned exclusive = 0, shared = 0;
  for (std::size_t i = 0; i < head.count; ++i) {
    // A semaphore counts its holds; another lock's holder may come again if it claims that.
    const std::uint8_t holds = head.workers[i].exclusive;
    exclusive += lock_.claims.semaphore ? holds : holds != 0 ? 1 : 0;
    if (i != w) shared += head.workers[i].shared != 0 ? 1 : 0;
  }
  const unsigned permits = lock_.claims.semaphore ? lock_.claims.permits : 1;
  const bool clashes = mine.exclusive != 0 ? exclusive > permits || shared > 0 : exclusive > 0;
  if (!clashes) return {};
  std::string holders;
  for (std::size_t i = 0; i < head.count; ++i) {
    if (i == w || !head.workers[i].holds()) continue;
    holders += (holders.empty() ? "" : " and ") + name_of(i);
  }
  if (mine.exclusive != 0 && exclusive > permits) {
    return Incident::violation(permits > 1 ? "ME-6" : "ME-1",
                               name_of(w) + " acquired the lock while " + holders + " held it");
  }
  return Incident::violation(
      "RW-1", name_of(w) + " acquired the lock in a mode that " + holders + "'s hold excludes");
}

}  // namespace hobbs::step
