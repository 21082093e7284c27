// What recording costs an acquire/release pair: the bare loop, the same with stamps that are thrown
// away (three, as an acquire that follows a release at once shares one with it: what no recording
// can be cheaper than), the same recorded, and recorded with a pause that the loop does not make
// before each acquire, which then has a stamp of its own.
#include <benchmark/benchmark.h>

#include <atomic>

#include "harness/free/recorder.h"

namespace hobbs::gang {
namespace {

/// The cheapest lock there is, so that nothing hides the recording.
struct Lock {
  std::atomic<std::uint32_t> word;
};
void acquire(Lock* lock) {
  while (lock->word.exchange(1, std::memory_order_acquire) != 0) {
  }
}
void release(Lock* lock) { lock->word.store(0, std::memory_order_release); }

void bare_pair(benchmark::State& state) {
  Lock lock{};
  Lock* at = &lock;
  for (auto _ : state) {
    benchmark::DoNotOptimize(at);
    acquire(at);
    release(at);
  }
}

void stamped_pair(benchmark::State& state, const StampClock& clock) {
  Lock lock{};
  for (auto _ : state) {
    Lock* at = &lock;
    acquire(at);
    benchmark::DoNotOptimize(stamp_after(clock));
    benchmark::DoNotOptimize(stamp_before(clock, at));
    release(at);
    std::atomic_thread_fence(std::memory_order_seq_cst);  // A stamp after a release must not come
                                                          // before its store is seen.
    benchmark::DoNotOptimize(stamp_after(clock));
  }
}

void recorded_pair(benchmark::State& state, const StampClock& clock, bool at_once) {
  SharedArena arena(LockOps{.size = 8, .align = 8}, 1, 1);
  arena->clock = clock;
  Lock* lock = static_cast<Lock*>(arena->lock_at(0));
  Recorder recorder(arena->clock, arena->slots[0], arena->records_of(0));
  RecordedCall acquires{1, Verb::kAcquire, Mode::kExclusive, 0, Outcome::kAcquired};
  RecordedCall releases{1, Verb::kRelease, Mode::kExclusive, 0, Outcome::kReleased};
  for (auto _ : state) {
    Lock* at = lock;
    if (at_once) {
      recorder.begin_at_once(acquires, at);
    } else {
      recorder.begin(acquires, INT64_MAX, at);
    }
    acquire(at);
    recorder.end(acquires);
    at = lock;
    recorder.begin(releases, INT64_MAX, at);
    release(at);
    recorder.end(releases);
  }
  state.SetLabel(describe(clock));
}

BENCHMARK(bare_pair);
BENCHMARK_CAPTURE(stamped_pair, counter, calibrated_clock());
BENCHMARK_CAPTURE(recorded_pair, counter, calibrated_clock(), true);
BENCHMARK_CAPTURE(recorded_pair, counter_after_a_pause, calibrated_clock(), false);
BENCHMARK_CAPTURE(recorded_pair, monotonic, plain_clock(), true);

}  // namespace
}  // namespace hobbs::gang

BENCHMARK_MAIN();
