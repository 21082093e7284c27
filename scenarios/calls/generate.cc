#include "scenarios/calls/generate.h"

#include <rapidcheck.h>
#include <rapidcheck/shrink/Shrink.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

namespace hobbs {
namespace {

using Kind = Move::Kind;

constexpr const char* kProcesses[] = {"A", "B", "C", "D"};
constexpr const char* kThreads[] = {"main", "t1", "t2"};
constexpr std::int64_t kShortNs = 40'000'000;
constexpr std::int64_t kLongNs = 30'000'000'000;

/// What moves are made of. The numbers are drawn; smaller ones are simpler.
struct Alphabet {
  std::vector<Actor> actors;
  std::vector<Move> calls;   // Without their actors.
  std::vector<Kind> births;  // Of processes; empty: there is one process.
  bool kills = false;
  bool ends = false;
};

std::vector<Kind> births_of(CallTopology topology, const AgentLock& lock) {
  switch (topology) {
    case CallTopology::kThreads: return {};
    case CallTopology::kFork: return {Kind::kFork};
    case CallTopology::kRawFork: return {Kind::kRawFork};
    case CallTopology::kSpawn: return {Kind::kSpawn};
    case CallTopology::kMixed: break;
  }
  std::vector<Kind> births;
  if (lock.forks) births = {Kind::kFork, Kind::kRawFork};
  if (lock.spawns) births.push_back(Kind::kSpawn);
  return births;
}

Alphabet alphabet_of(const AgentLock& lock, CallTopology topology) {
  Alphabet alphabet;
  alphabet.births = births_of(topology, lock);
  const std::size_t processes = alphabet.births.empty() ? 1 : std::size(kProcesses);
  const bool threads = topology == CallTopology::kThreads || topology == CallTopology::kMixed;
  for (std::size_t thread = 0; thread < (threads ? std::size(kThreads) : 1); ++thread) {
    for (std::size_t process = 0; process < processes; ++process) {
      alphabet.actors.push_back({kProcesses[process], kThreads[thread]});
    }
  }
  for (const AgentCall& call : lock.calls) {
    Move move;
    move.verb = call.verb;
    move.mode = call.mode;
    if (call.verb == Verb::kTimed) {
      move.wait_ns = kShortNs;
      alphabet.calls.push_back(move);
      move.wait_ns = kLongNs;
    }
    alphabet.calls.push_back(move);
    // Releases are what makes things move: as many as ways to acquire.
    if (call.verb == Verb::kRelease) alphabet.calls.insert(alphabet.calls.end(), 2, move);
  }
  alphabet.kills = processes > 1;
  alphabet.ends = threads;
  return alphabet;
}

using Draw = std::tuple<int, int, int, int>;  // What, who, which, with what.

Move move_of(const Draw& draw, const Alphabet& alphabet) {
  const auto [what, who, which, how] = draw;
  const auto pick = [](const auto& from, int at) {
    return from[static_cast<std::size_t>(at) % from.size()];
  };
  const Actor actor = pick(alphabet.actors, who);
  Move move;
  if (what < 82 || (what < 95 && alphabet.births.empty())) {
    move = pick(alphabet.calls, which);
    move.together = what >= 72 && what < 82;
  } else if (what < 95) {
    move.kind = pick(alphabet.births, how);
    move.process = kProcesses[1 + which % (std::size(kProcesses) - 1)];
  } else if (what < 98 && alphabet.kills) {
    move.kind = Kind::kKill;
    move.actor.process = kProcesses[1 + which % (std::size(kProcesses) - 1)];
    return move;
  } else if (alphabet.ends && actor.thread != "main") {
    move.kind = Kind::kEnd;
  } else {
    move = pick(alphabet.calls, which);
  }
  if (move.kind != Kind::kSpawn) move.actor = actor;
  return move;
}

/// RapidCheck scales ranges with the size; these are no sizes.
rc::Gen<int> below(int end) { return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, end)); }

rc::Gen<Draw> draw_gen() { return rc::gen::tuple(below(100), below(360), below(360), below(360)); }

/// Every actor `from` becomes `to`, if `from` occurs.
void rename(std::vector<Moves>& out, const Moves& moves, const Actor& from, const Actor& to) {
  Moves renamed = moves;
  for (Move& move : renamed) {
    if (move.actor == from && move.kind != Kind::kKill) move.actor = to;
  }
  if (renamed != moves) out.push_back(std::move(renamed));
}

/// The sequence with one actor or one process less.
std::vector<Moves> fewer_actors(const Moves& moves) {
  std::set<Actor> actors;
  for (const Move& move : moves) {
    if (move.kind == Kind::kCall) actors.insert(move.actor);
  }
  std::vector<Moves> found;
  for (auto from = actors.rbegin(); from != actors.rend(); ++from) {
    for (const Actor& to : actors) {
      if (to < *from) rename(found, moves, *from, to);
    }
    if (from->thread != "main") rename(found, moves, *from, {from->process, "main"});
    if (from->thread > "t1") rename(found, moves, *from, {from->process, "t1"});
    if (from->process != "A") rename(found, moves, *from, {"A", "main"});
    if (from->process != "A") rename(found, moves, *from, {"A", "t1"});
  }
  return found;
}

/// Simpler moves in this one's place.
std::vector<Move> simpler(const Move& move) {
  std::vector<Move> found;
  const auto add = [&](auto change) {
    Move other = move;
    change(other);
    if (!(other == move)) found.push_back(other);
  };
  if (move.kind == Kind::kRawFork) add([](Move& m) { m.kind = Kind::kFork; });
  if (move.kind == Kind::kFork || move.kind == Kind::kRawFork) {
    add([](Move& m) { m.actor = {}; });
  }
  if (move.kind != Kind::kCall) return found;
  add([](Move& m) { m.together = false; });
  if (move.verb == Verb::kTimed) {
    add([](Move& m) { m.verb = Verb::kAcquire, m.wait_ns = 0; });
    add([](Move& m) { m.verb = Verb::kTry, m.wait_ns = 0; });
  }
  if (move.verb == Verb::kAcquire) add([](Move& m) { m.verb = Verb::kTry; });
  return found;
}

rc::Seq<Moves> shrinks_of(const Moves& moves) {
  return rc::seq::concat(
      rc::shrink::removeChunks(moves), rc::seq::fromContainer(fewer_actors(moves)),
      rc::shrink::eachElement(
          moves, [](const Move& move) { return rc::seq::fromContainer(simpler(move)); }));
}

}  // namespace

std::string_view to_string(CallTopology topology) {
  switch (topology) {
    case CallTopology::kThreads: return "threads";
    case CallTopology::kFork: return "fork";
    case CallTopology::kRawFork: return "bare fork";
    case CallTopology::kSpawn: return "spawn";
    case CallTopology::kMixed: return "mixed";
  }
  return "?";
}

bool fits(const AgentLock& lock, CallTopology topology) {
  switch (topology) {
    case CallTopology::kThreads: return lock.claims.thread_shared;
    case CallTopology::kFork:
    case CallTopology::kRawFork: return lock.forks;
    case CallTopology::kSpawn: return lock.spawns;
    case CallTopology::kMixed: return lock.forks || lock.spawns;
  }
  return false;
}

Moves generate_moves(const AgentLock& lock, CallTopology topology, std::uint64_t seed,
                     std::size_t length) {
  const Alphabet alphabet = alphabet_of(lock, topology);
  const auto gen = rc::gen::container<std::vector<Draw>>(length, draw_gen());
  const std::vector<Draw> draws = gen(rc::Random(seed), rc::kNominalSize).value();
  Moves moves;
  // Most sequences begin with some processes; others come later.
  if (!alphabet.births.empty()) {
    for (std::size_t i = 0; i < seed % std::size(kProcesses); ++i) {
      Move birth;
      birth.kind = alphabet.births[(seed / 4 + i) % alphabet.births.size()];
      birth.process = kProcesses[i + 1];
      moves.push_back(birth);
    }
  }
  for (const Draw& draw : draws) moves.push_back(move_of(draw, alphabet));
  return moves;
}

Moves handover_moves(const AgentLock& lock, CallTopology topology) {
  const std::vector<Kind> births = births_of(topology, lock);
  Moves moves;
  Actor other{"A", "t1"};
  if (!births.empty()) {
    Move birth;
    birth.kind = births.back();
    birth.process = "B";
    moves.push_back(birth);
    other = {"B", "main"};
  }
  const auto add = [&](const Actor& actor, Verb verb) {
    Move move;
    move.actor = actor;
    move.verb = verb;
    moves.push_back(move);
  };
  const std::uint32_t permits = lock.claims.semaphore ? lock.claims.permits : 1;
  for (std::uint32_t i = 0; i < permits && i < 8; ++i) add({}, Verb::kAcquire);
  add(other, Verb::kAcquire);
  add({}, Verb::kRelease);
  add(other, Verb::kRelease);
  return moves;
}

Moves shrink_moves(const Moves& failing, const std::function<bool(const Moves&)>& fails) {
  Moves best = failing;
  rc::Shrinkable<Moves> at = rc::shrinkable::shrinkRecur(best, shrinks_of);
  for (bool found = true; found;) {
    found = false;
    for (auto shrinks = at.shrinks(); auto next = shrinks.next();) {
      const Moves candidate = next->value();
      if (!fails(candidate)) continue;
      best = candidate;
      at = *next;
      found = true;
      break;
    }
  }
  return best;
}

}  // namespace hobbs
