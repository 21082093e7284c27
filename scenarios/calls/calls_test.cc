#include "scenarios/calls/calls.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "scenarios/calls/agent_lock.h"
#include "scenarios/calls/generate.h"

namespace hobbs {
namespace {

const AgentLock& seed_lock(const std::string& name) {
  const auto& locks = seed_agent_locks();
  return *std::find_if(locks.begin(), locks.end(), [&](const auto& l) { return l.name == name; });
}

TEST(CallsTest, TextAndBack) {
  const std::string text =
      "A acquire\nA.t1 try shared &\nB timed 30ms shared\nB release\nfork B A.t1\nrawfork C A\n"
      "spawn D\nkill B\nend A.t1\nA try_upgrade\nA upgrade\nA downgrade\n";
  const MovesParse parse = parse_moves(text);
  EXPECT_EQ(parse.error, "");
  EXPECT_EQ(to_text(parse.moves), text);
}

TEST(CallsTest, EachMistakeIsNamedWithItsLine) {
  const auto error = [](const char* text) { return parse_moves(text).error; };
  EXPECT_EQ(error("A acquire\n\nA jump"), "line 3: 'jump' is not a call");
  EXPECT_EQ(error("A"), "line 1: a call is missing after the actor");
  EXPECT_EQ(error("A timed"), "line 1: a timed call needs its wait: timed 30ms");
  EXPECT_EQ(error("A timed 5s"), "line 1: '5s' is not a wait of 0ms to 60000ms");
  EXPECT_EQ(error("A acquire twice"), "line 1: 'twice' is too much");
  EXPECT_EQ(error("fork B"), "line 1: write: fork NEW PARENT");
  EXPECT_EQ(error("kill B &"), "line 1: only calls can be made together with what follows");
  EXPECT_EQ(error("end A"), "line 1: a main thread cannot end");
  EXPECT_EQ(error("A- try"), "line 1: 'A-' is not the name of a process or thread");
  EXPECT_EQ(error("&"), "line 1: a move is missing before '&'");
  std::string many;
  for (std::size_t i = 0; i <= kMaxMoves; ++i) many += "A try\n";
  EXPECT_EQ(error(many.c_str()), "line 257: there are more than 256 moves");
}

TEST(GenerateTest, IsDeterministicBySeedAndReachesEverything) {
  const AgentLock& lock = seed_lock("mp.Lock");
  std::set<Move::Kind> kinds;
  std::set<Verb> verbs;
  std::set<std::string> processes;
  std::set<std::string> threads;
  bool together = false;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Moves moves = generate_moves(lock, CallTopology::kMixed, seed, 12);
    EXPECT_EQ(moves, generate_moves(lock, CallTopology::kMixed, seed, 12));
    EXPECT_EQ(moves, parse_moves(to_text(moves)).moves);
    for (const Move& move : moves) {
      kinds.insert(move.kind);
      together |= move.together;
      if (move.kind != Move::Kind::kCall) continue;
      verbs.insert(move.verb);
      processes.insert(move.actor.process);
      threads.insert(move.actor.thread);
    }
  }
  EXPECT_EQ(kinds.size(), 6U);
  EXPECT_EQ(verbs.size(), 4U);
  EXPECT_EQ(processes.size(), 4U);
  EXPECT_EQ(threads.size(), 3U);
  EXPECT_TRUE(together);
}

TEST(GenerateTest, KeepsToItsTopology) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const Move& move :
         generate_moves(seed_lock("th.Lock"), CallTopology::kThreads, seed, 20)) {
      EXPECT_TRUE(move.kind == Move::Kind::kCall || move.kind == Move::Kind::kEnd);
    }
    for (const Move& move :
         generate_moves(seed_lock("fa.InterProcessLock"), CallTopology::kSpawn, seed, 20)) {
      EXPECT_TRUE(move.kind != Move::Kind::kFork && move.kind != Move::Kind::kRawFork);
      EXPECT_EQ(move.actor.thread, "main");
    }
  }
}

/// Fails if somebody of another process tries after an acquire by A's main thread.
bool fails(const Moves& moves) {
  bool acquired = false;
  bool born = false;
  for (const Move& move : moves) {
    born |= !move.process.empty();
    const bool call = move.kind == Move::Kind::kCall;
    acquired |= call && move.verb == Verb::kAcquire && move.actor.process == "A";
    if (acquired && born && call && move.verb == Verb::kTry && move.actor.process != "A") {
      return true;
    }
  }
  return false;
}

TEST(ShrinkTest, FindsTheFewestAndSimplestMoves) {
  int shrunk = 0;
  for (std::uint64_t seed = 0; seed < 200 && shrunk < 10; ++seed) {
    const Moves moves = generate_moves(seed_lock("mp.Lock"), CallTopology::kMixed, seed, 30);
    if (!fails(moves)) continue;
    ++shrunk;
    const Moves small = shrink_moves(moves, fails);
    ASSERT_EQ(small.size(), 3U) << to_text(small);
    EXPECT_TRUE(fails(small));
    for (const Move& move : small) {
      EXPECT_EQ(move.actor.thread, "main") << to_text(small);
      EXPECT_FALSE(move.together);
      EXPECT_NE(move.kind, Move::Kind::kRawFork);
    }
    EXPECT_EQ(small, shrink_moves(moves, fails));
  }
  EXPECT_EQ(shrunk, 10);
}

TEST(AgentLockTest, RepliesMeanWhatTheirLanguageSays) {
  const AgentLock& lock = seed_lock("mp.Lock");
  const auto meaning = [&](Verb verb, const char* json, const char* error = "",
                           const char* message = "") {
    return outcome_of(lock, verb, CallReply{json, error, message, 0, 0});
  };
  EXPECT_EQ(meaning(Verb::kAcquire, "true"), Outcome::kAcquired);
  EXPECT_EQ(meaning(Verb::kAcquire, "null"), Outcome::kAcquired);
  EXPECT_EQ(meaning(Verb::kTry, "false"), Outcome::kBusy);
  EXPECT_EQ(meaning(Verb::kTimed, "false"), Outcome::kTimedOut);
  EXPECT_EQ(meaning(Verb::kAcquire, "false"), Outcome::kSystemError);
  EXPECT_EQ(meaning(Verb::kRelease, "null"), Outcome::kReleased);
  EXPECT_EQ(meaning(Verb::kRelease, "true"), Outcome::kSystemError);
  EXPECT_EQ(meaning(Verb::kRelease, "", "ValueError"), Outcome::kOverRelease);
  EXPECT_EQ(meaning(Verb::kRelease, "", "AssertionError"), Outcome::kNotOwner);
  EXPECT_EQ(meaning(Verb::kAcquire, "", "ValueError", "Cannot upgrade"), Outcome::kUpgradeRefused);
  EXPECT_EQ(meaning(Verb::kAcquire, "", "OSError"), Outcome::kSystemError);
}

TEST(AgentLockTest, ALockOfTheCatalogueTellsOutcomes) {
  LockSpec spec;
  spec.name = "mine";
  spec.real.acquire = [](void*) { return Outcome::kAcquired; };
  spec.real.acquire_until = [](void*, std::int64_t) { return Outcome::kTimedOut; };
  const AgentLock lock = catalog_agent_lock(spec);
  EXPECT_NE(lock.find(Verb::kAcquire, Mode::kExclusive), nullptr);
  EXPECT_NE(lock.find(Verb::kTimed, Mode::kExclusive), nullptr);
  EXPECT_EQ(lock.find(Verb::kTry, Mode::kExclusive), nullptr);
  EXPECT_EQ(outcome_of(lock, Verb::kTry, CallReply{"\"busy\"", "", "", 0, 0}), Outcome::kBusy);
}

}  // namespace
}  // namespace hobbs
