// What a move is: an operation and what its worker does before the next; the middle of a section
// and a pause only with the operation that follows, and only if nothing comes in between.
#include <gtest/gtest.h>

#include <string>

#include "harness/explore/explorer.h"
#include "harness/explore/guided.h"
#include "locks/spec_of.h"
#include "scenarios/program.h"

namespace hobbs::explore {
namespace {

/// Everybody gets it, and nobody looks; what comes before and between the stores is `Extra`'s.
template <class P, class Extra>
class Turnstile {
 public:
  static constexpr Claims claims{.semaphore = true, .permits = 8};

  void lock() {
    Extra::template before_acquire<P>();
    word_.store(1);
  }
  void unlock() {
    Extra::template before_release<P>();
    word_.store(2);
    Extra::template within_release<P>();
    word_.store(3);
  }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

struct Nothing {
  template <class P>
  static void before_acquire() {}
  template <class P>
  static void before_release() {}
  template <class P>
  static void within_release() {}
};
struct PausesFirst : Nothing {
  template <class P>
  static void before_acquire() {
    P::pause();
  }
};
struct PausesBetween : Nothing {
  template <class P>
  static void within_release() {
    P::pause();
  }
};
struct AsksTheTime : Nothing {
  template <class P>
  static void before_release() {
    P::now();
  }
};
template <class P>
using Plain = Turnstile<P, Nothing>;
template <class P>
using Early = Turnstile<P, PausesFirst>;
template <class P>
using Delayed = Turnstile<P, PausesBetween>;
template <class P>
using Timed = Turnstile<P, AsksTheTime>;

template <class P>
class SpinLock {
 public:
  void lock() {
    while (word_.load() != 0 || word_.exchange(1) != 0) P::pause();
  }
  void unlock() { word_.store(0); }

 private:
  typename P::template atomic<std::uint32_t> word_{};
};

/// The moves of the program's execution that begins so and then takes its ordinary way.
int moves_of(const LockSpec& lock, const std::string& program, const std::string& schedule = "") {
  const auto explorer = Explorer::create(lock, MemoryModel::kSc, Topology::kFork);
  EXPECT_EQ(explorer->load(parse_program(program).program), "");
  const ScheduleParse parsed = parse_schedule(schedule);
  EXPECT_EQ(parsed.error, "");
  Replay replay(parsed.schedule);
  replay.begin();
  const Ending& ending = explorer->run(replay);
  EXPECT_EQ(ending.kind, Ending::Kind::kDone) << ending.broken.text;
  return explorer->steps();
}

TEST(Moves, TheMiddleOfASectionComesWithTheReleasesFirstOperation) {
  EXPECT_EQ(moves_of(spec_of<Plain>("plain"), "lock work unlock"), 3);
  EXPECT_EQ(moves_of(spec_of<Plain>("plain"), "lock unlock"), 3);
  EXPECT_EQ(moves_of(spec_of<SpinLock>("spin"), "lock work unlock"), 3);
}

TEST(Moves, APauseComesWithTheNextLook) {
  // Worker 2 looks, waits for worker 1 to go, then looks again and takes it.
  EXPECT_EQ(
      moves_of(spec_of<SpinLock>("spin"), "lock work unlock | lock work unlock", "1x2 2 1 2x3"), 7);
}

TEST(Moves, APauseThatIsADelayTakesNoTurnAlong) {
  EXPECT_EQ(moves_of(spec_of<Early>("early"), "lock work unlock"), 3);
  EXPECT_EQ(moves_of(spec_of<Delayed>("delayed"), "lock work unlock"), 3);
}

TEST(Moves, WhoAsksForTheTimeLetsItPassThen) {
  EXPECT_EQ(moves_of(spec_of<Timed>("timed"), "lock work unlock"), 4);
}

// Whoever goes in the midst of a section takes its turn along: the next one has to be given its
// own.

TEST(Moves, TheTurnOfWhoIsDoneIsNobodys) {
  EXPECT_EQ(moves_of(spec_of<Plain>("plain"), "lock work | lock unlock"), 5);
}

TEST(Moves, TheTurnOfTheDeadIsNobodys) {
  EXPECT_EQ(moves_of(spec_of<Plain>("plain"), "lock work die | lock unlock"), 5);
}

TEST(Moves, AForkedChildMayGoBeforeItsParentGoesOn) {
  EXPECT_EQ(moves_of(spec_of<Plain>("plain"), "lock work fork unlock"), 5);
}

}  // namespace
}  // namespace hobbs::explore
