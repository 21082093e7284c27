#include "harness/bench/measure.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "harness/bench/worker.h"
#include "locks/reference/futex_mutex.h"
#include "locks/reference/robust_mutex.h"
#include "locks/reference/ticket_lock.h"
#include "locks/reference/writer_preferring_lock.h"
#include "locks/spec_of.h"

namespace hobbs::bench {
namespace {

using std::chrono::milliseconds;

Workload workload_of(Shape shape, std::uint32_t processes, std::uint32_t threads) {
  Workload workload;
  workload.name = "test";
  workload.shape = shape;
  workload.processes = processes;
  workload.threads = threads;
  workload.hold_ns = 200;
  workload.timeout_ns = 50'000;
  if (shape == Shape::kManyLocks) workload.locks = 16;
  return workload;
}

class BenchTest : public testing::Test {
 protected:
  Measurement measure(const LockSpec& lock, const Workload& workload) {
    Bench bench({workload}, testing::TempDir());
    return bench.measure(lock, workload, milliseconds(10), true);
  }
};

TEST_F(BenchTest, EveryShapeAndTopologyGivesNumbers) {
  const LockSpec lock = spec_of<FutexMutex>("futex");
  for (const Shape shape :
       {Shape::kLoop, Shape::kPingPong, Shape::kTry, Shape::kTimed, Shape::kManyLocks}) {
    for (const auto& [processes, threads] : {std::pair{2u, 1u}, std::pair{1u, 2u}}) {
      const Workload workload = workload_of(shape, processes, threads);
      const Measurement result = measure(lock, workload);
      EXPECT_EQ(result.error, "") << label(workload);
      EXPECT_GT(result.ns_per_operation, 0) << label(workload);
      EXPECT_GT(result.metrics.at("acquire_max"), 0) << label(workload);
      EXPECT_GE(result.metrics.at("acquire_p99"), result.metrics.at("acquire_p50"));
    }
  }
}

TEST_F(BenchTest, PingPongHandsOverEveryTime) {
  const Workload workload = workload_of(Shape::kPingPong, 2, 1);
  Bench bench({workload}, testing::TempDir());
  Measurement result;
  // A loaded machine may let nobody hand over within a round; never does one fail to alternate.
  for (std::int64_t ms = 10; ms <= 10'000 && result.metrics.count("handoff_share") == 0; ms *= 4) {
    result = bench.measure(spec_of<FutexMutex>("futex"), workload, milliseconds(ms), true);
    ASSERT_EQ(result.error, "");
  }
  EXPECT_EQ(result.metrics.at("handoff_share"), 1);
}

/// What is done before all have called, at leisure, is in none of the figures but in the one that
/// tells whether the lock excludes.
TEST(Worker, CountsFromWhenAllHaveCalled) {
  constexpr std::uint64_t kEarly = 10'000, kLate = 10;
  const auto arena = std::make_unique<Arena>();
  arena->orders.ops = spec_of<FutexMutex>("futex").real;
  arena->orders.probe = Probe::kClosed;
  arena->orders.workers = 1;
  const Tsc tsc = Tsc::calibrate();
  std::thread worker([&] { work(*arena, 1, tsc); });
  const std::atomic<std::uint64_t>& entries = arena->guarded[0].entries;
  count_up(arena->go);
  while (entries.load() < kEarly) std::this_thread::yield();
  const std::uint64_t from_ticks = ticks();
  arena->phase.store(Phase::kCounted);
  const std::uint64_t early = entries.load();
  while (entries.load() < early + kLate) std::this_thread::yield();
  arena->phase.store(Phase::kOver);
  worker.join();
  const WorkerSlot& slot = arena->workers[1];
  EXPECT_EQ(slot.exclusive, entries.load());
  EXPECT_GE(slot.operations, kLate - 1) << "all but the one under way";
  EXPECT_LE(slot.operations, entries.load() - kEarly);
  EXPECT_EQ(slot.acquire.count(), slot.operations);
  EXPECT_GE(slot.from_ticks, from_ticks);
}

TEST_F(BenchTest, ReadersAreMeasuredToo) {
  Workload workload = workload_of(Shape::kLoop, 2, 1);
  workload.reads_per_mille = 900;
  const Measurement result = measure(spec_of<WriterPreferringLock>("rw"), workload);
  EXPECT_EQ(result.error, "");
}

TEST_F(BenchTest, TheHarnessCostsLittle) {
  Bench bench({overhead_workload()}, testing::TempDir());
  const Overhead overhead = measure_overhead(bench);
  EXPECT_GT(overhead.bare_ns, 0);
  EXPECT_GT(overhead.loop_ns, overhead.bare_ns);
  EXPECT_GT(overhead.probes_ns, overhead.loop_ns);
}

struct NoLock {
  void lock() {}
  void unlock() {}
  unsigned char padding[8];
};

TEST_F(BenchTest, ALockThatDoesNotExcludeIsNotMeasured) {
  Workload workload = workload_of(Shape::kLoop, 2, 1);
  workload.hold_ns = 0;
  // Two cores lose updates within microseconds; on one core a preemption must fall between a load
  // and a store: so look again, at other programs of the same lock.
  Measurement result;
  Bench bench({workload}, testing::TempDir());
  for (int i = 0; i < 200 && !result.broken; ++i) {
    result = bench.measure(spec_of<NoLock>("none"), workload, milliseconds(10), false);
  }
  EXPECT_TRUE(result.broken);
  EXPECT_NE(result.error.find("does not exclude"), std::string::npos) << result.error;
}

struct Suicidal {
  void lock() { kill(getpid(), SIGKILL); }
  void unlock() {}
};

TEST_F(BenchTest, AWorkerThatDiesIsToldAndTheGangComesBack) {
  const Workload workload = workload_of(Shape::kLoop, 2, 1);
  Bench bench({workload}, testing::TempDir());
  const Measurement died =
      bench.measure(spec_of<Suicidal>("suicidal"), workload, milliseconds(10), false);
  EXPECT_NE(died.error.find("signal 9"), std::string::npos) << died.error;
  EXPECT_FALSE(died.broken);
  const Measurement next =
      bench.measure(spec_of<TicketLock>("ticket"), workload, milliseconds(10), false);
  EXPECT_EQ(next.error, "");
}

TEST_F(BenchTest, CrashRecoveryIsMeasuredWhereItIsClaimed) {
  const Workload workload = workload_of(Shape::kCrash, 2, 1);
  const LockSpec robust = spec_of<RobustMutex>("robust");
  EXPECT_EQ(refusal(robust, workload), "");
  const Measurement result = measure(robust, workload);
  EXPECT_EQ(result.error, "");
  EXPECT_GT(result.metrics.at("recovery_p50"), 0);
  EXPECT_NE(refusal(spec_of<FutexMutex>("futex"), workload), "");
}

TEST(Refusal, ThreadsOnlyLocksAreNotMeasuredBetweenProcesses) {
  Claims claims;
  claims.process_shared = false;
  const LockSpec lock = spec_of<std::mutex>("std", claims);
  EXPECT_NE(refusal(lock, workload_of(Shape::kLoop, 2, 1)), "");
  EXPECT_EQ(refusal(lock, workload_of(Shape::kLoop, 1, 2)), "");
  EXPECT_NE(refusal(lock, workload_of(Shape::kTimed, 1, 2)), "");
}

TEST(Workloads, HaveDifferentLabels) {
  for (const std::uint32_t cores : {1u, 2u, 8u, 64u}) {
    for (const auto& workloads : {default_workloads(cores), full_workloads(cores)}) {
      std::set<std::string> labels;
      for (const Workload& workload : workloads) {
        EXPECT_TRUE(labels.insert(label(workload)).second) << label(workload);
        EXPECT_LE(workload.workers(), kMaxWorkers);
        EXPECT_GE(workload.workers(), 1u);
      }
    }
  }
}

}  // namespace
}  // namespace hobbs::bench
