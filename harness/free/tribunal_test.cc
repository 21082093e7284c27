// The recorded history alone finds what is broken, and lets what is healthy pass.
#include "harness/free/tribunal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "harness/free/programs.h"
#include "harness/free/recorder.h"
#include "locks/mutants/gallery.h"
#include "locks/spec_of.h"

namespace hobbs::gang {
namespace {

using std::chrono::milliseconds;

class TribunalTest : public testing::Test {
 protected:
  TribunalTest() : directory_(testing::TempDir() + "hobbs-tribunal-" + std::to_string(getpid())) {
    std::filesystem::create_directories(directory_);
  }
  ~TribunalTest() override { std::filesystem::remove_all(directory_); }

  /// Runs the program without the witness until the history shows a breach, or the time is up.
  JobEnd run(const LockSpec& lock, const std::string& program, milliseconds time,
             Topology topology = Topology::kFork, Nemesis nemesis = Nemesis::kNone) {
    Job job;
    job.lock = &lock;
    job.program = parse_program(program).program;
    job.topology = topology;
    job.nemesis = nemesis;
    job.witness = false;
    job.directory = directory_;
    const auto until = std::chrono::steady_clock::now() + time;
    JobEnd end;
    Stats sum;
    do {
      job.until = std::min(until, std::chrono::steady_clock::now() + milliseconds(200));
      ++job.seed;
      end = run_job(job);
      sum += end.stats;
    } while (!end.breach && std::chrono::steady_clock::now() < until);
    end.stats = sum;
    return end;
  }

  void expect_caught(const std::string& name, const std::string& program,
                     const std::vector<std::string>& rules, Nemesis nemesis = Nemesis::kYields) {
    for (const mutants::Mutant& mutant : mutants::gallery()) {
      if (mutant.lock.name != name) continue;
      const JobEnd end = run(mutant.lock, program, milliseconds(60'000), Topology::kFork, nemesis);
      ASSERT_TRUE(end.breach) << end.stats.judged << " calls judged";
      EXPECT_NE(std::find(rules.begin(), rules.end(), end.breach->rule), rules.end())
          << end.breach->rule << ": " << end.breach->summary;
      EXPECT_FALSE(end.breach->proven);
      EXPECT_TRUE(std::any_of(end.breach->history.begin(), end.breach->history.end(),
                              [](const Moment& moment) { return moment.evidence; }));
      return;
    }
    FAIL() << "the gallery has no " << name;
  }

  std::string directory_;
};

TEST_F(TribunalTest, SeesTwoInsideAtOnce) {
  expect_caught("split_test_and_set", "repeat=2: lock work(3us) unlock | lock work(3us) unlock",
                {"ME-1", "ME-3"});
}
TEST_F(TribunalTest, SeesAReaderBesideAWriter) {
  expect_caught("hasty_reader",
                "repeat=2: lock_shared work(3us) unlock | lock work(3us) unlock | lock_shared "
                "work(3us) unlock",
                {"RW-1"});
}
TEST_F(TribunalTest, AcquitsTheHealthy) {
  const std::string programs[] = {
      "repeat=2: lock work unlock | try work unlock | timed(60us) work unlock",
      "repeat=2: lock work unlock | lock_shared work unlock | try_shared work unlock",
      "lock work unlock | lock work unlock | lock work unlock"};
  std::uint64_t judged = 0;
  for (const LockSpec& lock : reference_catalog()) {
    for (const std::string& program : programs) {
      for (const Nemesis nemesis : {Nemesis::kNone, Nemesis::kChurn, Nemesis::kStops}) {
        if (!fits(lock, parse_program(program).program)) continue;
        const Topology topology = topologies_of(lock).front();
        const JobEnd end = run(lock, program, milliseconds(40), topology, nemesis);
        judged += end.stats.judged;
        EXPECT_FALSE(end.breach) << lock.name << ", " << program << ", " << to_string(nemesis)
                                 << ": " << end.breach->rule << " " << end.breach->summary;
      }
    }
  }
  EXPECT_GT(judged, 1000u);
}

/// Healthy: it counts who waits among its users, so that a try fails while a permit is on its way
/// to one of several waiters, whichever takes it.
template <class P>
class CountsItsWaiters {
 public:
  static constexpr Claims claims{.releaser = Releaser::kAnyone, .semaphore = true, .permits = 2};
  void lock() {
    if (users_.fetch_add(1) < 2) return;
    for (std::uint32_t free = tokens_.load();;) {
      if (free == 0) {
        P::futex_wait(tokens_, 0);
        free = tokens_.load();
      } else if (tokens_.compare_exchange_strong(free, free - 1)) {
        return;
      }
    }
  }
  bool try_lock() {
    std::uint32_t users = users_.load();
    while (users < 2) {
      if (users_.compare_exchange_strong(users, users + 1)) return true;
    }
    return false;
  }
  void unlock() {
    if (users_.fetch_sub(1) <= 2) return;
    tokens_.fetch_add(1);
    P::futex_wake(tokens_, 1);
  }

 private:
  typename P::template atomic<std::uint32_t> users_{0}, tokens_{0};
};

TEST_F(TribunalTest, AcquitsATryThatFailsWhileOthersCall) {
  const LockSpec lock = spec_of<CountsItsWaiters>("counts_its_waiters");
  const JobEnd end = run(lock,
                         "lock work unlock | lock work unlock | lock work unlock | lock work "
                         "unlock | try work unlock",
                         milliseconds(1500), Topology::kFork, Nemesis::kNone);
  EXPECT_FALSE(end.breach) << end.breach->rule << " " << end.breach->summary;
  EXPECT_GT(end.stats.judged, 10'000u);
}

/// A ring with a few records in it, as a worker leaves it.
class RecorderTest : public testing::Test {
 protected:
  RecorderTest() : arena_(LockOps{.size = 8, .align = 8}, 1, 2) {
    arena_->workers.store(2);
    arena_->clock = calibrated_clock();
    for (std::uint32_t i = 0; i < 2; ++i) arena_->slots[i].id.store(i + 1);
  }
  Recorder recorder(std::size_t slot) {
    return Recorder(arena_->clock, arena_->slots[slot], arena_->records_of(slot));
  }
  static constexpr RecordedCall kCall{7, Verb::kTry, Mode::kShared, 3, Outcome::kBusy};
  SharedArena arena_;
  void* object_ = nullptr;
};

TEST_F(RecorderTest, KeepsWhatACallWas) {
  const RecordedCall call = unpack(pack(kCall));
  EXPECT_EQ(call.round, 7u);
  EXPECT_EQ(call.verb, Verb::kTry);
  EXPECT_EQ(call.mode, Mode::kShared);
  EXPECT_EQ(call.lock, 3);
  EXPECT_EQ(call.outcome, Outcome::kBusy);
}

TEST_F(RecorderTest, TellsCallsInOrderAndWhatIsPending) {
  Recorder first = recorder(0), second = recorder(1);
  first.begin(kCall, INT64_MAX, object_);
  first.end(kCall);
  RecordedCall timed = kCall;
  timed.verb = Verb::kTimed;
  second.begin(timed, now_ns() + 1'000'000, object_);
  const History history = history_of(*arena_, UINT64_MAX).history;
  ASSERT_EQ(history.operations.size(), 2u);
  const Operation& returned = history.operations[0];
  const Operation& pending = history.operations[1];
  EXPECT_FALSE(returned.pending);
  EXPECT_TRUE(pending.pending);
  EXPECT_EQ(returned.deadline_ns, INT64_MAX);
  EXPECT_LE(returned.invoked_ns, returned.returned_ns);
  EXPECT_LE(returned.returned_ns, pending.invoked_ns + 2 * history.clock_error_ns);
  EXPECT_NEAR(static_cast<double>(pending.deadline_ns - pending.invoked_ns), 1e6, 9e5);
}

TEST_F(RecorderTest, WritesOverWhatWasThere) {
  Recorder first = recorder(0);
  RecordedCall timed = kCall;
  timed.verb = Verb::kTimed;
  for (std::uint32_t i = 0; i < kRecordsKept; ++i) {
    first.begin(timed, now_ns(), object_);
    first.end(timed);
  }
  first.begin(kCall, INT64_MAX, object_);
  const Record& record = arena_->records_of(0)[0];
  const Operation under_way = operation_of(record, 1, arena_->clock);
  EXPECT_TRUE(under_way.pending);  // What was there had returned.
  EXPECT_EQ(under_way.deadline_ns, INT64_MAX);
  first.end(kCall);
  EXPECT_FALSE(operation_of(record, 1, arena_->clock).pending);
}

TEST_F(RecorderTest, LetsACallBeginWhereTheLastOneEnded) {
  Recorder first = recorder(0);
  first.begin(kCall, INT64_MAX, object_);
  first.end(kCall);
  void* object = &arena_;
  first.begin_at_once(kCall, object);
  EXPECT_EQ(object, &arena_);
  const Record* const records = arena_->records_of(0);
  EXPECT_EQ(records[1].invoked.load(), records[0].returned.load());
  EXPECT_TRUE(operation_of(records[1], 1, arena_->clock).pending);
  first.end(kCall);
  EXPECT_FALSE(operation_of(records[1], 1, arena_->clock).pending);
}

TEST_F(RecorderTest, LeavesOutWhatCameAfterTheEnd) {
  Recorder first = recorder(0);
  first.begin(kCall, INT64_MAX, object_);
  const std::uint64_t end = stamp_after(arena_->clock);
  first.end(kCall);
  first.begin(kCall, INT64_MAX, object_);
  first.end(kCall);
  const History history = history_of(*arena_, end).history;
  ASSERT_EQ(history.operations.size(), 1u);
  EXPECT_TRUE(history.operations[0].pending);
}

TEST_F(RecorderTest, TellsOnlyRoundsOfWhichNothingWasOverwritten) {
  Recorder first = recorder(0), second = recorder(1);
  for (std::uint32_t i = 0; i < kRecordsKept + 10; ++i) {
    const RecordedCall call{i / 100, Verb::kAcquire, Mode::kExclusive, 0, Outcome::kAcquired};
    first.begin(call, INT64_MAX, object_);
    first.end(call);
    if (i % 100 != 0) continue;
    second.begin(call, INT64_MAX, object_);
    second.end(call);
  }
  const Recorded recorded = history_of(*arena_, UINT64_MAX);
  EXPECT_FALSE(recorded.complete);
  // Calls 0 to 9 are gone, and with them the round that they were part of.
  EXPECT_EQ(recorded.history.operations.size(), (kRecordsKept + 10 - 100) + kRecordsKept / 100);
}

TEST(StampTest, GoesWithTheMonotonicClock) {
  const StampClock& clock = calibrated_clock();
  const std::int64_t before = now_ns();
  const std::int64_t between = clock.to_ns(stamp_after(clock));
  const std::int64_t after = now_ns();
  EXPECT_GT(between, before - 1'000'000);
  EXPECT_LT(between, after + 1'000'000);
  EXPECT_FALSE(describe(clock).empty());
  EXPECT_NE(describe(plain_clock()), describe(StampClock{.counter = true}));
}

}  // namespace
}  // namespace hobbs::gang
