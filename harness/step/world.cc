#include "harness/step/world.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hobbs::step {
namespace {

using Kind = Transition::Kind;

constexpr std::uint8_t kOwnBits =
    WorkerHead::kPaused | WorkerHead::kNews | WorkerHead::kTimedOut | WorkerHead::kAskedTime;

/// 1 + the worker that has slept longest on a channel; 0 if nobody sleeps there.
unsigned first_sleeper(const Head& head, std::uint32_t where) {
  unsigned first = 0;
  for (unsigned i = 0; i < head.count; ++i) {
    const WorkerHead& worker = head.workers[i];
    if (worker.phase != Phase::kAsleep || worker.channel != where) continue;
    if (first == 0 || worker.order < head.workers[first - 1].order) first = i + 1;
  }
  return first;
}

/// No other worker holds the lock, is inside a call or has died.
bool nobody_else_near(const Head& head, std::size_t w) {
  for (std::size_t i = 0; i < head.count; ++i) {
    const WorkerHead& other = head.workers[i];
    if (i == w || (other.phase == Phase::kDone && other.buffered == 0)) continue;
    if (other.phase != Phase::kBetween || other.holds() || other.buffered > 0) return false;
  }
  return true;
}

/// Memory has changed: who spins has something to look at. News is kept only for those that have
/// paused before: for all others it would only multiply states.
void tell_the_others(Head& head, std::size_t w) {
  for (std::size_t i = 0; i < head.count; ++i) {
    if (i == w) continue;
    WorkerHead& other = head.workers[i];
    other.set(WorkerHead::kSpinning, false);
    other.set(WorkerHead::kNews, other.has(WorkerHead::kPaused));
  }
}

/// Somebody sleeps on a priority-inheriting futex: what the kernel does for it when another dies is
/// not modelled.
bool somebody_inherits(const Head& head) {
  for (std::size_t i = 0; i < head.count; ++i) {
    const WorkerHead& worker = head.workers[i];
    if (worker.phase == Phase::kAsleep && channel::is_priority(worker.channel)) return true;
  }
  return false;
}

/// The plain body: the state's own locals and shared bytes.
class PlainBody final : public Body {
 public:
  PlainBody(Runner& runner, State& state) : runner_(runner), state_(state) {}
  Pending pending(std::size_t w) override {
    return runner_.pending(state_.locals[w], state_.shared);
  }
  const Move& move(std::size_t w, const Input& input, bool& changed) override {
    before_ = state_.shared;
    move_ = runner_.move(state_.locals[w], state_.shared, input);
    changed = std::memcmp(before_.bytes, state_.shared.bytes, before_.used) != 0;
    state_.head.workers[w].buffered = state_.locals[w].buffered;
    return move_;
  }
  void wake(std::size_t w, std::int64_t result) override { Runner::wake(state_.locals[w], result); }

 private:
  Runner& runner_;
  State& state_;
  Shared before_;
  Move move_;
};

}  // namespace

World::World(const LockSpec& lock, const Program& program, const WorldOptions& options)
    : lock_(lock),
      program_(program),
      options_(options),
      image_(lock_, calls_made(lock_.real, program_), program.workers.size(), options.path),
      runner_(lock_, image_, options.memory, options.kills > 0) {}

State World::initial() const {
  State state;
  state.shared = image_.initial();
  state.head.count = static_cast<std::uint8_t>(program_.workers.size());
  state.head.kills_left = static_cast<std::uint8_t>(options_.kills);
  state.head.signals_left = static_cast<std::uint8_t>(options_.signals);
  state.head.preemptions_left =
      options_.preemptions < 0 ? Head::kUnbounded
                               : static_cast<std::uint8_t>(std::min(options_.preemptions, 250));
  for (std::size_t w = 0; w < kMaxStepWorkers; ++w) {
    state.locals[w].worker = static_cast<std::uint8_t>(w);
  }
  return state;
}

std::uint8_t World::dead(const Head& head) {
  unsigned dead = 0;
  for (std::size_t i = 0; i < kMaxStepWorkers; ++i) {
    if (i >= head.count || head.workers[i].phase == Phase::kDead) dead |= 1u << i;
  }
  return static_cast<std::uint8_t>(dead);
}

bool World::may_run(const Head& head, Body& body, std::size_t w) const {
  const WorkerHead& worker = head.workers[w];
  if (worker.finished() || worker.phase == Phase::kAsleep) return false;
  if (worker.has(WorkerHead::kSpinning)) return false;
  return worker.buffered == 0 || worker.phase != Phase::kInCall || !body.pending(w).drains_first;
}

void World::enabled(const Head& head, Body& body, std::vector<Transition>& transitions) const {
  transitions.clear();
  // With no preemption left only the last worker runs, until it stops of its own accord.
  const bool bound = head.preemptions_left == 0 && may_run(head, body, head.last) &&
                     head.workers[head.last].phase == Phase::kInCall;
  for (std::uint8_t w = 0; w < head.count; ++w) {
    const WorkerHead& worker = head.workers[w];
    if (worker.phase == Phase::kDead) continue;
    if (worker.buffered > 0) transitions.push_back({Kind::kDrain, w});
    if (worker.phase == Phase::kDone) continue;
    if (worker.phase == Phase::kAsleep) {
      if (worker.has(WorkerHead::kMayTimeOut)) transitions.push_back({Kind::kTimeOut, w});
      if (head.signals_left > 0 && channel::is_interruptible(worker.channel)) {
        transitions.push_back({Kind::kSignal, w});
        if (channel::is_futex(worker.channel)) transitions.push_back({Kind::kSpurious, w});
      }
    } else if (bound && w != head.last) {
      // It has to wait.
    } else if (worker.has(WorkerHead::kSpinning)) {
      transitions.push_back({Kind::kGiveUp, w});
    } else if (may_run(head, body, w)) {
      transitions.push_back({Kind::kRun, w});
    }
    const bool watches_time = worker.phase == Phase::kInCall &&
                              worker.has(WorkerHead::kAskedTime) &&
                              !worker.has(WorkerHead::kTimedOut);
    if (watches_time) transitions.push_back({Kind::kTimeOut, w});
    // A worker that has not begun, or is between programs, dies as uninterestingly as it lives.
    const bool in_contact = worker.phase != Phase::kBetween || worker.holds();
    if (head.kills_left > 0 && in_contact) transitions.push_back({Kind::kKill, w});
  }
}

bool World::is_final(const Head& head) {
  for (std::size_t w = 0; w < head.count; ++w) {
    if (!head.workers[w].finished()) return false;
  }
  return true;
}

bool World::may_be_stuck(const Head& head) const {
  return head.any_dead != 0 && lock_.claims.crash == CrashBehaviour::kStuck;
}

Incident World::step(Head& head, Body& body, const Transition& transition, Event& event) const {
  const std::size_t w = transition.worker;
  WorkerHead& worker = head.workers[w];
  event = Event{};
  for (std::size_t i = 0; i < head.count; ++i) {
    if (i != w) head.workers[i].set(WorkerHead::kAlone, false);
  }
  if (transition.kind == Kind::kRun || transition.kind == Kind::kGiveUp) {
    count_preemption(head, body, w);
  }
  switch (transition.kind) {
    case Kind::kTimeOut:
      worker.set(WorkerHead::kTimedOut);
      worker.set(WorkerHead::kSpinning, false);
      if (worker.phase != Phase::kAsleep) return {};
      end_sleep(head, body, w,
                (worker.channel & channel::kKind) == channel::kSemaphore ? -EAGAIN : -ETIMEDOUT);
      return {};
    case Kind::kSignal:
      --head.signals_left;
      end_sleep(head, body, w, -EINTR);
      worker.set(WorkerHead::kSignalled);
      return {};
    case Kind::kSpurious:
      --head.signals_left;
      end_sleep(head, body, w, 0);
      return {};
    case Kind::kKill:
      if (somebody_inherits(head)) {
        return Incident::unknown("a death while others wait for a priority-inheriting futex");
      }
      kill(head, body, w);
      return {};
    default: return run(head, body, transition, event);
  }
}

Incident World::run(Head& head, Body& body, const Transition& transition, Event& event) const {
  const std::size_t w = transition.worker;
  WorkerHead& worker = head.workers[w];
  if (transition.kind == Kind::kRun && worker.phase == Phase::kBetween) {
    return begin(head, body, w, event);
  }
  Input input;
  input.bits = worker.bits & kOwnBits;
  input.mortal = head.kills_left > 0;
  if (transition.kind == Kind::kDrain) {
    input.kind = Input::Kind::kDrain;
    bool changed = false;
    body.move(w, input, changed);
    if (changed) tell_the_others(head, w);
    return {};
  }
  input.kind = transition.kind == Kind::kGiveUp ? Input::Kind::kGiveUp : Input::Kind::kRun;
  if (input.kind == Input::Kind::kRun) {
    const Pending pending = body.pending(w);
    const Interest interest = pending.interest;
    if (pending.asks_who_lives) input.dead = dead(head);
    if (interest.channel != 0) {
      input.first = static_cast<std::uint8_t>(first_sleeper(head, interest.channel));
      if (interest.wakes > 0) {
        input.woken =
            static_cast<std::uint8_t>(wake(head, body, {interest.channel, interest.wakes}));
      }
    }
  }
  bool changed = false;
  const Move& move = body.move(w, input, changed);
  if (move.end == Move::End::kSpins) return {};
  return after_move(head, body, w, move, changed, event);
}

/// Starts the call of the worker's next step, or ends the worker.
Incident World::begin(Head& head, Body& body, std::size_t w, Event& event) const {
  WorkerHead& worker = head.workers[w];
  Input input;
  input.kind = Input::Kind::kBegin;
  input.mortal = head.kills_left > 0;
  if (!next_call(worker, w, input.call)) {
    worker.phase = Phase::kDone;
    return {};
  }
  worker.phase = Phase::kInCall;
  worker.bits = nobody_else_near(head, w) ? WorkerHead::kAlone : 0;
  switch (program_.workers[w][worker.step].verb) {
    case Verb::kRelease:
    case Verb::kDowngrade:
    case Verb::kUpgrade:
    case Verb::kTryUpgrade: --(worker.shared > 0 ? worker.shared : worker.exclusive); break;
    default: break;
  }
  bool changed = false;
  const Move& move = body.move(w, input, changed);
  return after_move(head, body, w, move, changed, event);
}

Incident World::after_move(Head& head, Body& body, std::size_t w, const Move& move, bool changed,
                           Event& event) const {
  WorkerHead& worker = head.workers[w];
  constexpr std::uint8_t kMoved =
      WorkerHead::kSpinning | WorkerHead::kPaused | WorkerHead::kNews | WorkerHead::kAskedTime;
  worker.bits = static_cast<std::uint8_t>((worker.bits & ~kMoved) | (move.bits & kMoved));
  event.instructions = move.instructions;
  Incident incident;
  switch (move.end) {
    case Move::End::kUnknown: return Incident::unknown(move.unknown);
    case Move::End::kFaults:
      event.faults = true;
      return Incident::violation("LV-2", "worker " + std::to_string(w + 1) +
                                             "'s process dies of SIGSEGV: it " + move.unknown);
    case Move::End::kAsleep:
      worker.phase = Phase::kAsleep;
      worker.channel = move.channel;
      worker.set(WorkerHead::kMayTimeOut, move.may_time_out);
      worker.order = ++head.sleeps;
      break;
    case Move::End::kReturned:
      event.returned = true;
      event.outcome = move.outcome;
      incident = finish_call(head, w, move.outcome);
      break;
    default: break;
  }
  const Wakes wakes = move.wakes;  // Waking others overwrites `move`.
  for (unsigned i = 0; i < wakes.count; ++i) wake(head, body, wakes.list[i]);
  if (changed) tell_the_others(head, w);
  return incident;
}

void World::end_sleep(Head& head, Body& body, std::size_t w,
                      std::optional<std::int64_t> result) const {
  WorkerHead& worker = head.workers[w];
  if (result) body.wake(w, *result);
  for (std::size_t i = 0; i < head.count; ++i) {
    if (head.workers[i].order > worker.order) --head.workers[i].order;
  }
  --head.sleeps;
  worker.phase = Phase::kInCall;
  worker.channel = 0;
  worker.order = 0;
  worker.set(WorkerHead::kMayTimeOut, false);
}

unsigned World::wake(Head& head, Body& body, const Wake& wake) const {
  unsigned woken = 0;
  while (woken < wake.count) {
    const unsigned first = first_sleeper(head, wake.channel);
    if (first == 0) break;
    // Who waited for a file lock asks for it again.
    if (channel::retries(wake.channel)) {
      end_sleep(head, body, first - 1, std::nullopt);
    } else {
      end_sleep(head, body, first - 1, 0);
    }
    ++woken;
  }
  return woken;
}

void World::kill(Head& head, Body& body, std::size_t w) const {
  WorkerHead& worker = head.workers[w];
  if (worker.phase == Phase::kAsleep) end_sleep(head, body, w, -EINTR);
  if (worker.exclusive != 0) head.died_holding = 1;
  --head.kills_left;
  head.any_dead = 1;
  Input input;
  input.kind = Input::Kind::kKill;
  input.first = static_cast<std::uint8_t>(first_sleeper(head, channel::kSemaphore));
  bool changed = false;
  const Wakes wakes = body.move(w, input, changed).wakes;
  worker = WorkerHead{};
  worker.phase = Phase::kDead;
  for (unsigned i = 0; i < wakes.count; ++i) wake(head, body, wakes.list[i]);
  if (changed) tell_the_others(head, w);
}

/// A switch away from a worker that could have gone on, other than between calls.
void World::count_preemption(Head& head, Body& body, std::size_t w) const {
  if (head.preemptions_left == Head::kUnbounded) return;
  const bool forced = w != head.last && head.workers[head.last].phase == Phase::kInCall &&
                      may_run(head, body, head.last);
  if (forced) --head.preemptions_left;
  head.last = static_cast<std::uint8_t>(w);
}

void World::enabled(State& state, std::vector<Transition>& transitions) {
  PlainBody body(runner_, state);
  enabled(state.head, body, transitions);
}

Incident World::step(State& state, const Transition& transition, Event& event) {
  PlainBody body(runner_, state);
  return step(state.head, body, transition, event);
}

Incident World::step(State& state, const Transition& transition) {
  Event event;
  return step(state, transition, event);
}

}  // namespace hobbs::step
