#include "harness/free/stamp.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>
#include <vector>

namespace hobbs::gang {
namespace {

constexpr std::int64_t kRateNs = 8'000'000;  // How long the rate is measured.
constexpr std::int64_t kWarpNs =
    1'000'000;  // How long each pair of cores is compared, at least ...
constexpr std::int64_t kWarpNsMax = 50'000'000;  // ... and at most, on a busy machine ...
constexpr std::uint64_t kTurnsNeeded = 200;  // ... until the cores have seen each other's stamps.
constexpr double kErrorNsMax = 1'000;        // A worse counter is not used.
constexpr std::size_t kPairsMax = 16;        // So many other cores are compared.

#if defined(__x86_64__)

/// The kernel's word that the counter neither stops nor changes its pace.
bool is_steady() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    line += ' ';
    return line.find(" constant_tsc ") != std::string::npos &&
           line.find(" nonstop_tsc ") != std::string::npos &&
           line.find(" rdtscp ") != std::string::npos;
  }
  return false;
}

struct Pair {
  std::uint64_t ticks;
  std::int64_t ns;
};

/// Both clocks at one moment: of several tries that with the least between its two readings.
Pair read_both() {
  Pair best{};
  std::uint64_t least = UINT64_MAX;
  for (int i = 0; i < 16; ++i) {
    unsigned core;
    const std::uint64_t before = __rdtscp(&core);
    const auto ns = static_cast<std::int64_t>(internal::monotonic_ns());
    const std::uint64_t after = __rdtscp(&core);
    if (after - before >= least) continue;
    least = after - before;
    best = {before + least / 2, ns};
  }
  return best;
}

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);
}

/// The most ticks by which one of two cores was behind a stamp that it had already seen; UINT64_MAX
/// if they never ran at the same time.
std::uint64_t warp_between(int a, int b) {
  alignas(128) std::atomic<std::uint64_t> last{0};
  alignas(128) std::atomic<std::uint64_t> worst{0};
  std::atomic<std::uint64_t> turns{0};
  const auto run = [&](int core) {
    pin(core);
    const auto begin = static_cast<std::int64_t>(internal::monotonic_ns());
    std::int64_t took = 0;
    std::uint64_t own = 0;
    while (took < kWarpNs || (took < kWarpNsMax && turns.load() < kTurnsNeeded)) {
      for (int i = 0; i < 100; ++i) {
        unsigned number;
        const std::uint64_t seen = last.load();
        const std::uint64_t mine = __rdtscp(&number);
        if (seen != own) turns.fetch_add(1, std::memory_order_relaxed);
        if (seen > mine) worst.store(std::max(worst.load(), seen - mine));
        last.store(own = mine);
      }
      took = static_cast<std::int64_t>(internal::monotonic_ns()) - begin;
    }
  };
  std::thread other(run, b);
  run(a);
  other.join();
  return turns.load() < kTurnsNeeded ? UINT64_MAX : worst.load();
}

std::vector<int> own_cores(const cpu_set_t& set) {
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

StampClock measure() {
  if (!is_steady()) return plain_clock();
  const Pair begin = read_both();
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  const std::vector<int> cores = own_cores(before);
  std::uint64_t warp = 0;
  for (std::size_t i = 1; i < std::min(cores.size(), kPairsMax); ++i) {
    warp = std::max(warp, warp_between(cores[0], cores[i]));
  }
  sched_setaffinity(0, sizeof before, &before);
  while (static_cast<std::int64_t>(internal::monotonic_ns()) < begin.ns + kRateNs) {
  }
  const Pair end = read_both();
  StampClock clock;
  clock.counter = true;
  clock.origin = begin.ticks;
  clock.origin_ns = begin.ns;
  clock.ns_per_tick =
      static_cast<double>(end.ns - begin.ns) / static_cast<double>(end.ticks - begin.ticks);
  const double warp_ns = 2 * static_cast<double>(warp) * clock.ns_per_tick;
  if (warp_ns > kErrorNsMax) return plain_clock();
  clock.error_ns = std::max(clock.error_ns, static_cast<std::int64_t>(warp_ns));
  return clock;
}

#else

StampClock measure() { return plain_clock(); }

#endif

}  // namespace

const StampClock& calibrated_clock() {
  static const StampClock clock = measure();
  return clock;
}

StampClock plain_clock() { return {}; }

std::string describe(const StampClock& clock) {
  if (!clock.counter) {
    return "CLOCK_MONOTONIC, as the time-stamp counters of this machine do not agree";
  }
  return fmt::format("time-stamp counter, {:.3f} ticks a ns, cores agree within {} ns",
                     1 / clock.ns_per_tick, clock.error_ns);
}

}  // namespace hobbs::gang
