#include "scenarios/calls/judge.h"

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

namespace hobbs {
namespace {

constexpr std::size_t kStatesMax = 4096;   // Visited in one step.
constexpr std::size_t kPossibleMax = 256;  // Kept from step to step.

bool is_acquire(Verb verb) {
  return verb == Verb::kAcquire || verb == Verb::kTry || verb == Verb::kTimed;
}
bool is_upgrade(Verb verb) { return verb == Verb::kUpgrade || verb == Verb::kTryUpgrade; }

/// Whether the call may keep others waiting for exclusiveness.
bool wants_alone(const Move& move) {
  return (move.verb != Verb::kTry && is_acquire(move.verb) && move.mode == Mode::kExclusive) ||
         is_upgrade(move.verb);
}

std::string call_text(const Move& move) {
  Move call = move;
  call.together = false;
  return to_text(call);
}

/// A state and which calls have taken effect in it.
struct Visit {
  std::uint64_t done = 0;
  ModelState state;
  bool operator==(const Visit&) const = default;
};
struct VisitHash {
  std::size_t operator()(const Visit& visit) const { return visit.state.hash() * 31 + visit.done; }
};

void add_unique(std::vector<ModelState>& states, const ModelState& state) {
  if (std::find(states.begin(), states.end(), state) == states.end()) states.push_back(state);
}

}  // namespace

CallJudge::CallJudge(const Claims& claims, Home home) : claims_(claims), model_(claims, home) {
  instances_.emplace_back();
}

void CallJudge::add_process(const std::string& process, const std::optional<Actor>& forker) {
  std::size_t instance = 0;
  if (claims_.fork == ForkBehaviour::kPrivateCopy && !processes_.empty()) {
    instance = instances_.size();
    instances_.push_back(forker ? instances_[instance_of(forker->process)] : Instance{});
    if (forker) {
      if (forker->thread == "main") originals_[process] = originals_[forker->process];
      originals_[process].push_back(worker(*forker));
    }
  }
  processes_[process] = instance;
  parents_[process] = forker ? forker->process : "";
  numbers_[process] = static_cast<std::uint32_t>(parents_.size());
  worker({process, "main"});  // Who lives, so that the model knows that the process does.
}

std::size_t CallJudge::instance_of(const std::string& process) const {
  return processes_.at(process);
}

std::uint32_t CallJudge::worker(const Actor& actor) {
  const auto known = workers_.find(actor);
  if (known != workers_.end()) return known->second;
  const auto id = static_cast<std::uint32_t>(names_.size());
  if (id > kMaxWorkers) {
    lost_ = true;
    return kMaxWorkers;
  }
  names_.push_back(to_text(actor));
  workers_[actor] = id;
  model_.place(id, numbers_.at(actor.process));
  return id;
}

void CallJudge::kill(const std::string& process) {
  std::vector<ModelState>& states = instances_[instance_of(process)].states;
  // Each call of the dead has taken effect or not.
  std::set<std::uint32_t> inside;
  for (const Outstanding& one : outstanding_) {
    if (one.actor.process != process) continue;
    inside.insert(one.call.worker);
    const std::size_t before = states.size();
    for (std::size_t i = 0; i < before; ++i) {
      for (const Outcome outcome : {Outcome::kAcquired, Outcome::kOwnerDied, Outcome::kReleased}) {
        ModelState state = states[i];
        const Expectation e = model_.expect(state, one.call);
        if (!e.undefined && model_.apply(state, one.call, outcome)) add_unique(states, state);
      }
    }
  }
  const bool inherited =
      std::any_of(processes_.begin(), processes_.end(),
                  [&](const auto& living) { return is_ancestor(process, living.first); });
  std::vector<ModelState> dead;
  for (ModelState state : states) {
    for (const auto& [actor, id] : workers_) {
      if (actor.process == process) model_.die(state, id, inside.contains(id), inherited);
    }
    add_unique(dead, state);
  }
  states = std::move(dead);
  if (states.size() > kPossibleMax) lost_ = true;
  std::erase_if(outstanding_, [&](const Outstanding& o) { return o.actor.process == process; });
  for (const auto& [actor, id] : workers_) {
    if (actor.process == process) names_[id] += " (killed)";
  }
  std::erase_if(workers_, [&](const auto& item) { return item.first.process == process; });
  processes_.erase(process);
}

void CallJudge::end(const Actor& actor) {
  const auto known = workers_.find(actor);
  if (known == workers_.end()) return;
  for (ModelState& state : instances_[instance_of(actor.process)].states) {
    model_.die(state, known->second, false);
  }
  names_[known->second] += " (ended)";
  workers_.erase(known);
}

bool CallJudge::is_waiting(const Actor& actor) const {
  return std::any_of(outstanding_.begin(), outstanding_.end(),
                     [&](const Outstanding& one) { return one.actor == actor; });
}

bool CallJudge::process_is_waiting(const std::string& process) const {
  return std::any_of(outstanding_.begin(), outstanding_.end(),
                     [&](const Outstanding& one) { return one.actor.process == process; });
}

std::vector<Actor> CallJudge::waiting() const {
  std::vector<Actor> actors;
  for (const Outstanding& one : outstanding_) actors.push_back(one.actor);
  return actors;
}

bool CallJudge::may_hold_as_copy(const Actor& actor) const {
  const auto originals = originals_.find(actor.process);
  if (originals == originals_.end() || actor.thread != "main" ||
      claims_.releaser == Releaser::kAnyone) {
    return false;
  }
  const auto& states = instances_[instance_of(actor.process)].states;
  return std::any_of(states.begin(), states.end(), [&](const ModelState& state) {
    return std::any_of(originals->second.begin(), originals->second.end(), [&](std::uint32_t id) {
      return model_.holds(state, id, Mode::kExclusive) || model_.holds(state, id, Mode::kShared);
    });
  });
}

bool CallJudge::is_defined(const Actor& actor, Verb verb, Mode mode) {
  if (may_hold_as_copy(actor)) return false;
  Call call{.worker = worker(actor), .verb = verb, .mode = mode};
  const auto& states = instances_[instance_of(actor.process)].states;
  return std::none_of(states.begin(), states.end(), [&](const ModelState& state) {
    return model_.expect(state, call).undefined;
  });
}

void CallJudge::begin(const Move& move) {
  Outstanding one;
  one.actor = move.actor;
  one.move = move;
  one.call = {.worker = worker(move.actor), .verb = move.verb, .mode = move.mode};
  one.instance = instance_of(move.actor.process);
  outstanding_.push_back(std::move(one));
}

void CallJudge::reply(const Actor& actor, Outcome outcome) {
  for (Outstanding& one : outstanding_) {
    if (one.actor != actor) continue;
    one.outcome = outcome;
    // It took effect before its deadline or after: whichever the answer needs.
    one.call.expired = outcome == Outcome::kTimedOut;
    return;
  }
}

void CallJudge::expire(const Actor& actor) {
  for (Outstanding& one : outstanding_) {
    if (one.actor == actor && !one.outcome) one.call.expired = one.move.verb == Verb::kTimed;
  }
}

/// The call as the model is to see it while these are outstanding.
Call CallJudge::call_for(const Outstanding& one, const Calls& calls) const {
  Call call = one.call;
  for (const Outstanding* other : calls) {
    call.exclusive_waiting |= other->actor != one.actor && wants_alone(other->move);
  }
  return call;
}

/// All states in which the step can end.
std::vector<ModelState> CallJudge::after(const std::vector<ModelState>& before,
                                         const Calls& calls) {
  std::vector<ModelState> ends;
  std::unordered_set<Visit, VisitHash> seen;
  std::vector<Visit> open;
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls[i]->outcome) all |= std::uint64_t{1} << i;
  }
  for (const ModelState& state : before) open.push_back({0, state});
  while (!open.empty()) {
    const Visit visit = open.back();
    open.pop_back();
    if (!seen.insert(visit).second) continue;
    if (seen.size() > kStatesMax) {
      lost_ = true;
      return ends;
    }
    bool all_may_wait = visit.done == all;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const std::uint64_t bit = std::uint64_t{1} << i;
      if ((visit.done & bit) != 0) continue;
      const Call call = call_for(*calls[i], calls);
      const Expectation e = model_.expect(visit.state, call);
      if (e.undefined) {
        lost_ = true;
        return ends;
      }
      if (!calls[i]->outcome) {
        all_may_wait = all_may_wait && e.may_wait;
        continue;
      }
      Visit next{visit.done | bit, visit.state};
      if (model_.apply(next.state, call, *calls[i]->outcome)) open.push_back(next);
    }
    if (all_may_wait) add_unique(ends, visit.state);
  }
  return ends;
}

std::optional<Breach> CallJudge::settle() {
  std::vector<Instance> next = instances_;
  for (std::size_t i = 0; i < instances_.size() && !lost_; ++i) {
    Calls calls;
    for (const Outstanding& one : outstanding_) {
      if (one.instance == i) calls.push_back(&one);
    }
    if (calls.empty()) continue;
    next[i].states = after(instances_[i].states, calls);
    if (lost_) break;
    if (next[i].states.empty()) return explain(i, calls);
    if (next[i].states.size() > kPossibleMax) lost_ = true;
  }
  if (lost_) return std::nullopt;
  instances_ = std::move(next);
  std::erase_if(outstanding_, [](const Outstanding& one) { return one.outcome.has_value(); });
  return std::nullopt;
}

/// Finds the call without which all would be well, and which is wrong where that leads to; the
/// newest, if several.
Breach CallJudge::explain(std::size_t instance, const Calls& calls) {
  const std::vector<ModelState>& before = instances_[instance].states;
  for (std::size_t i = calls.size(); i-- > 0;) {
    Calls others = calls;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    const std::vector<ModelState> ends = after(before, others);
    if (lost_) break;
    for (const ModelState& state : ends) {
      const Expectation e = model_.expect(state, call_for(*calls[i], calls));
      const bool right = calls[i]->outcome ? e.allows(*calls[i]->outcome) : e.may_wait;
      if (!right) return describe(state, *calls[i], calls);
    }
  }
  return describe(before.front(), *calls.back(), calls);
}

bool CallJudge::is_ancestor(const std::string& ancestor, std::string process) const {
  for (auto at = parents_.find(process); at != parents_.end(); at = parents_.find(process)) {
    process = at->second;
    if (process == ancestor) return true;
  }
  return false;
}

std::string CallJudge::holders(const ModelState& state) const {
  if (claims_.semaphore) {
    return std::to_string(static_cast<std::int64_t>(claims_.permits) - state.depth) + " of " +
           std::to_string(claims_.permits) + " permits are free";
  }
  if (state.owner != 0) {
    const std::string times =
        state.depth > 1 ? ", " + std::to_string(state.depth) + " times over" : "";
    return names_[state.owner] + " holds it" + times;
  }
  std::string text;
  for (std::uint32_t id = 1; id < names_.size(); ++id) {
    if ((state.sharers >> (id - 1) & 1) != 0) text += (text.empty() ? "" : " and ") + names_[id];
  }
  if (text.empty()) return "nobody holds it";
  return text + (text.find(" and ") == std::string::npos ? " holds it shared" : " hold it shared");
}

std::string CallJudge::rule_of(const ModelState& state, const Outstanding& one,
                               const Expectation& e) const {
  const Verb verb = one.move.verb;
  const bool got = one.outcome && hobbs::holds(*one.outcome);
  const bool inherited =
      state.owner != 0 && state.owner < names_.size() && state.owner != one.call.worker &&
      is_ancestor(names_[state.owner].substr(0, names_[state.owner].find_first_of(". ")),
                  one.actor.process);
  const bool shared = one.move.mode == Mode::kShared;
  if (is_acquire(verb)) {
    if (got && inherited) return "FK-1";
    if (got && (shared || state.sharers != 0)) return "RW-1";
    if (got) return verb == Verb::kAcquire ? "ME-1" : "ME-3";
    if (state.owner == one.call.worker && claims_.reentrant) return "RE-1";
    if (shared && state.owner == 0 && state.sharers != 0) return "RW-2";
    if (!one.outcome) return e.outcomes.contains(Outcome::kTimedOut) ? "TO-3" : "LV-1";
    return verb == Verb::kTry ? "TR-2" : verb == Verb::kTimed ? "TO-5" : "ME-4";
  }
  if (verb == Verb::kDowngrade) return "RW-6";
  if (is_upgrade(verb)) return got ? "ME-3" : "RW-7";
  if (!one.outcome) return "LV-2";  // A release that waits.
  if (*one.outcome != Outcome::kReleased) return "MU-1";
  return inherited ? "FK-1" : state.owner != 0 ? "MU-2" : "MU-1";
}

Breach CallJudge::describe(const ModelState& state, const Outstanding& one,
                           const Calls& calls) const {
  const Expectation e = model_.expect(state, call_for(one, calls));
  Breach breach;
  breach.actor = one.actor;
  breach.rule = rule_of(state, one, e);
  const std::string did = one.outcome ? "returned '" + std::string(to_string(*one.outcome)) + "'"
                                      : std::string("waits");
  std::string right;
  if (e.must_wait()) {
    right = "it must wait";
  } else {
    right = "it must return '" + to_string(e.outcomes) + "'";
    if (e.may_wait) right = "it must wait, or return '" + to_string(e.outcomes) + "'";
  }
  breach.sentence =
      "'" + call_text(one.move) + "' " + did + ", but " + right + ": " + holders(state);
  return breach;
}

bool CallJudge::surely_holds(const Actor& actor, Mode mode) {
  const std::uint32_t id = worker(actor);
  const auto& states = instances_[instance_of(actor.process)].states;
  return std::all_of(states.begin(), states.end(),
                     [&](const ModelState& state) { return model_.holds(state, id, mode); });
}

bool CallJudge::may_hold(const Actor& actor, Mode mode) {
  const std::uint32_t id = worker(actor);
  const auto& states = instances_[instance_of(actor.process)].states;
  return std::any_of(states.begin(), states.end(), [&](const ModelState& state) {
    return model_.holds(state, id, mode);
  });
}

bool CallJudge::may_hold(const Actor& actor) {
  return may_hold(actor, Mode::kExclusive) || may_hold(actor, Mode::kShared);
}

bool CallJudge::surely_free(const std::string& process) const {
  const auto& states = instances_[instance_of(process)].states;
  return std::all_of(states.begin(), states.end(),
                     [&](const ModelState& state) { return model_.is_free(state); });
}

bool CallJudge::surely_held(const std::string& process) const {
  const auto& states = instances_[instance_of(process)].states;
  return std::all_of(states.begin(), states.end(),
                     [&](const ModelState& state) { return model_.held(state) > 0; });
}

}  // namespace hobbs
