#include "harness/bench/measure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "harness/bench/crash_recovery.h"
#include "harness/lock_file.h"

namespace hobbs::bench {
namespace {

constexpr std::uint32_t kDeaths = 5;
/// What all workers of the round did.
void sum_up(const Arena& arena, const Tsc& tsc, RoundSum& sum) {
  std::uint64_t from = UINT64_MAX;
  std::uint64_t to = 0;
  for (std::uint32_t id = 1; id <= arena.orders.workers; ++id) {
    const WorkerSlot& slot = arena.workers[id];
    sum.operations.push_back(static_cast<double>(slot.operations));
    sum.exclusive += slot.exclusive;
    sum.failures += slot.failures;
    sum.errors += slot.errors;
    sum.handoffs += slot.handoffs;
    sum.switches += slot.switches;
    sum.cpu_ns += slot.cpu_ns;
    from = std::min(from, slot.from_ticks);
    to = std::max(to, slot.to_ticks);
    if (arena.orders.probe == Probe::kNone) continue;
    sum.acquire.merge(slot.acquire);
    sum.response.merge(slot.response);
    sum.handoff.merge(slot.handoff);
    sum.bypass.merge(slot.bypass);
  }
  for (std::uint32_t i = 0; i < arena.orders.locks; ++i) {
    sum.entries += arena.guarded[i].entries.load();
  }
  sum.elapsed_ns = static_cast<double>(tsc.to_ns(from, to));
}

Orders orders_of(const LockSpec& lock, const Workload& workload, const Tsc& tsc,
                 const std::string& path) {
  Orders orders;
  orders.ops = lock.real;
  orders.home = lock.home;
  orders.exclusive = !(lock.claims.semaphore && lock.claims.permits > 1);
  orders.shape = workload.shape;
  orders.hold_ticks = tsc.to_ticks(workload.hold_ns);
  orders.think_ticks = tsc.to_ticks(workload.think_ns);
  orders.reads_per_mille = workload.reads_per_mille;
  orders.timeout_ns = workload.timeout_ns;
  orders.locks = workload.locks;
  orders.pinned = workload.pinned;
  std::strncpy(orders.path, path.c_str(), sizeof orders.path - 1);
  return orders;
}

/// The kind of topology: its gang serves all sizes.
std::string kind_of(const Workload& workload) {
  return workload.processes == 1 ? "threads" : workload.threads == 1 ? "processes" : "mixed";
}

LockSpec lock_that_does_nothing() {
  LockSpec lock;
  lock.name = "nothing";
  lock.real.size = 64;
  lock.real.construct = [](void*, const char*) {};
  lock.real.destroy = [](void*) {};
  lock.real.acquire = [](void*) { return Outcome::kAcquired; };
  lock.real.release = [](void*) { return Outcome::kReleased; };
  return lock;
}

double bare_loop_ns(const Tsc& tsc) {
  constexpr std::uint64_t kLoops = 20'000'000;
  double best = INFINITY;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t from = ticks();
    for (std::uint64_t n = 0; n < kLoops; ++n) asm volatile("" : "+r"(n));
    best = std::min(best, static_cast<double>(tsc.to_ns(from, ticks())) / kLoops);
  }
  return best;
}

}  // namespace

Bench::Bench(const std::vector<Workload>& workloads, std::string directory)
    : tsc_(Tsc::calibrate()), directory_(std::move(directory)) {
  std::thread([] {}).join();  // See begin_child().
  struct Size {
    std::uint32_t processes = 0;
    std::uint32_t threads = 0;
  };
  std::map<std::string, Size> sizes;
  for (const Workload& workload : workloads) {
    if (workload.shape == Shape::kCrash) continue;
    Size& size = sizes[kind_of(workload)];
    size.processes = std::max(size.processes, workload.processes);
    size.threads = std::max(size.threads, workload.threads);
  }
  for (const auto& [kind, size] : sizes) {
    gangs_[kind] = std::make_unique<Gang>(*arena_, tsc_, size.processes, size.threads);
  }
}

Gang& Bench::gang_for(const Workload& workload) { return *gangs_.at(kind_of(workload)); }

std::string Bench::next_path() { return fmt::format("{}/lock-{}", directory_, ++paths_); }

std::string Bench::run(const Orders& orders, const Workload& workload,
                       std::chrono::nanoseconds round, RoundSum& into) {
  const std::string error =
      gang_for(workload).run(orders, workload.processes, workload.threads, round);
  if (orders.home == Home::kPath) {
    remove_what_it_names(orders.path);  // Its worker may have been killed.
    unlink(orders.path);
  }
  if (error.empty()) sum_up(*arena_, tsc_, into);
  return error;
}

Measurement Bench::measure(const LockSpec& lock, const Workload& workload,
                           std::chrono::nanoseconds round, bool latency) {
  if (workload.shape == Shape::kCrash) return measure_crash(lock);
  Measurement result =
      measure_rounds(workload, latency, [&](Probe probe, double gap_ns, RoundSum& into) {
        Orders orders = orders_of(lock, workload, tsc_, next_path());
        orders.probe = probe;
        orders.gap_ticks =
            std::max<std::uint64_t>(1, tsc_.to_ticks(static_cast<std::int64_t>(gap_ns)));
        return run(orders, workload, round, into);
      });
  result.metrics["bytes_per_lock"] = static_cast<double>(lock.real.size);
  return result;
}

Measurement Bench::measure_crash(const LockSpec& lock) {
  Measurement result;
  result.metrics["bytes_per_lock"] = static_cast<double>(lock.real.size);
  const Recovery recovery = measure_recovery(lock, tsc_, next_path(), kDeaths);
  result.error = recovery.error;
  if (!result.error.empty()) return result;
  result.ns_per_operation = static_cast<double>(recovery.recovery_ns.quantile(0.5));
  result.metrics["recovery_p50"] = result.ns_per_operation;
  result.metrics["recovery_max"] = static_cast<double>(recovery.recovery_ns.max());
  return result;
}

Subject subject_of(const LockSpec& lock) {
  return {lock.name, [lock](const Workload& workload) { return refusal(lock, workload); },
          [lock](Bench& bench, const Workload& workload, std::chrono::nanoseconds round,
                 bool latency) { return bench.measure(lock, workload, round, latency); }};
}

Workload overhead_workload() {
  Workload workload;
  workload.name = "overhead";
  return workload;
}

Overhead measure_overhead(Bench& bench) {
  const LockSpec nothing = lock_that_does_nothing();
  Overhead overhead;
  overhead.bare_ns = bare_loop_ns(bench.tsc());
  Measurement measurement;
  // On a crowded machine a short round may pass without a turn for the one worker.
  for (std::int64_t ms = 20; ms <= 2'000; ms *= 3) {
    measurement = bench.measure(nothing, overhead_workload(), std::chrono::milliseconds(ms), true);
    if (measurement.metrics.count("probed_cpu_ns_per_operation") != 0) break;
  }
  // Time on a core, which other programs take nothing away from.
  const auto metric = [&](const char* name) {
    const auto found = measurement.metrics.find(name);
    return found == measurement.metrics.end() ? NAN : found->second;
  };
  overhead.loop_ns = metric("cpu_ns_per_operation");
  overhead.probes_ns = metric("probed_cpu_ns_per_operation");
  return overhead;
}

}  // namespace hobbs::bench
