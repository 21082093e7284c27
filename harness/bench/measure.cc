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
#include "reports/statistics.h"

namespace hobbs::bench {
namespace {

constexpr std::uint32_t kDeaths = 5;
constexpr double kOpenLoad = 0.5;  // Of what the closed loop did.

struct Percentile {
  const char* name;
  double q;
};
constexpr Percentile kPercentiles[] = {{"p50", 0.5},     {"p75", 0.75},     {"p90", 0.9},
                                       {"p95", 0.95},    {"p99", 0.99},     {"p99.5", 0.995},
                                       {"p99.9", 0.999}, {"p99.99", 0.9999}};

void tell(std::map<std::string, double>& metrics, const std::string& prefix,
          const Histogram& histogram) {
  if (histogram.count() == 0) return;
  for (const Percentile& p : kPercentiles) {
    metrics[prefix + "_" + p.name] = static_cast<double>(histogram.quantile(p.q));
  }
  metrics[prefix + "_max"] = static_cast<double>(histogram.max());
}

/// All workers of one round together.
struct Totals {
  std::uint64_t operations = 0;
  std::uint64_t exclusive = 0;
  std::uint64_t failures = 0;
  std::uint64_t errors = 0;
  std::uint64_t handoffs = 0;
  std::uint64_t switches = 0;
  std::uint64_t entries = 0;
  std::int64_t cpu_ns = 0;
  double elapsed_ns = 0;
  std::vector<double> operations_by_worker;
};

Totals totals_of(const Arena& arena, const Tsc& tsc) {
  Totals totals;
  std::uint64_t from = UINT64_MAX;
  std::uint64_t to = 0;
  for (std::uint32_t id = 1; id <= arena.orders.workers; ++id) {
    const WorkerSlot& slot = arena.workers[id];
    totals.operations += slot.operations;
    totals.exclusive += slot.exclusive;
    totals.failures += slot.failures;
    totals.errors += slot.errors;
    totals.handoffs += slot.handoffs;
    totals.switches += slot.switches;
    totals.cpu_ns += slot.cpu_ns;
    from = std::min(from, slot.from_ticks);
    to = std::max(to, slot.to_ticks);
    totals.operations_by_worker.push_back(static_cast<double>(slot.operations));
  }
  for (std::uint32_t i = 0; i < arena.orders.locks; ++i) {
    totals.entries += arena.guarded[i].entries.load();
  }
  totals.elapsed_ns = static_cast<double>(tsc.to_ns(from, to));
  return totals;
}

/// One of a slot's histograms over all workers. Static: it is too large for some stacks.
const Histogram& merged(const Arena& arena, Histogram WorkerSlot::*which) {
  static Histogram all;
  all.clear();
  for (std::uint32_t id = 1; id <= arena.orders.workers; ++id) all.merge(arena.workers[id].*which);
  return all;
}

std::string broken_by(const Totals& totals) {
  if (totals.entries != totals.exclusive) {
    return fmt::format("it does not exclude: {} of {} updates of the data it protects were lost",
                       totals.exclusive - totals.entries, totals.exclusive);
  }
  if (totals.errors != 0) {
    return fmt::format("{} of {} calls gave an error", totals.errors, totals.operations);
  }
  return "";
}

void tell_throughput(Measurement& into, const Totals& totals) {
  const auto operations = static_cast<double>(totals.operations);
  std::map<std::string, double>& metrics = into.metrics;
  into.ns_per_operation = totals.elapsed_ns / operations;
  metrics["operations_per_second"] = 1e9 / into.ns_per_operation;
  metrics["cpu_ns_per_operation"] = static_cast<double>(totals.cpu_ns) / operations;
  metrics["switches_per_operation"] = static_cast<double>(totals.switches) / operations;
  metrics["failed_share"] = static_cast<double>(totals.failures) / operations;
  if (totals.operations_by_worker.size() < 2) return;
  metrics["jain"] = jain_index(totals.operations_by_worker);
  for (std::size_t i = 0; i < totals.operations_by_worker.size(); ++i) {
    metrics[fmt::format("share_{:02}", i + 1)] = totals.operations_by_worker[i] / operations;
  }
}

void tell_latency(Measurement& into, const Arena& arena, const Totals& totals) {
  std::map<std::string, double>& metrics = into.metrics;
  if (arena.orders.probe == Probe::kOpen) {
    tell(metrics, "response", merged(arena, &WorkerSlot::response));
    return;
  }
  const Histogram& acquire = merged(arena, &WorkerSlot::acquire);
  tell(metrics, "acquire", acquire);
  if (acquire.count() != 0) {
    metrics["wait_weighted_p50"] = static_cast<double>(acquire.weighted_quantile(0.5));
  }
  if (arena.orders.workers < 2) return;
  const Histogram& handoff = merged(arena, &WorkerSlot::handoff);
  if (handoff.count() != 0) {
    tell(metrics, "handoff", handoff);
    metrics["handoff_share"] =
        // The first had nobody to take it over from.
        static_cast<double>(totals.handoffs) / static_cast<double>(totals.exclusive - 1);
  }
  const Histogram& bypass = merged(arena, &WorkerSlot::bypass);
  if (bypass.count() != 0) {
    metrics["bypass_p99"] = static_cast<double>(bypass.quantile(0.99));
    metrics["bypass_max"] = static_cast<double>(bypass.max());
  }
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

bool Bench::run(Measurement& into, Orders orders, const Workload& workload,
                std::chrono::nanoseconds round) {
  into.error = gang_for(workload).run(orders, workload.processes, workload.threads, round);
  if (orders.home == Home::kPath) {
    remove_what_it_names(orders.path);  // Its worker may have been killed.
    unlink(orders.path);
  }
  if (!into.error.empty()) return false;
  const Totals totals = totals_of(*arena_, tsc_);
  into.error = broken_by(totals);
  into.broken = !into.error.empty() && totals.entries != totals.exclusive;
  if (into.error.empty() && totals.operations == 0 && orders.probe == Probe::kNone) {
    into.error = "no call came back within the round";
  }
  // A round with probes in which the machine gave nobody a turn only has no latencies to tell.
  if (!into.error.empty() || totals.operations == 0) return false;
  if (orders.probe == Probe::kNone) {
    tell_throughput(into, totals);
  } else {
    tell_latency(into, *arena_, totals);
  }
  if (orders.probe == Probe::kClosed) {
    const auto operations = static_cast<double>(totals.operations);
    into.metrics["probed_ns_per_operation"] = totals.elapsed_ns / operations;
    into.metrics["probed_cpu_ns_per_operation"] = static_cast<double>(totals.cpu_ns) / operations;
  }
  return true;
}

Measurement Bench::measure(const LockSpec& lock, const Workload& workload,
                           std::chrono::nanoseconds round, bool latency) {
  if (workload.shape == Shape::kCrash) return measure_crash(lock);
  Measurement result;
  result.metrics["bytes_per_lock"] = static_cast<double>(lock.real.size);
  if (!run(result, orders_of(lock, workload, tsc_, next_path()), workload, round)) return result;
  if (!latency) return result;
  Orders closed = orders_of(lock, workload, tsc_, next_path());
  closed.probe = Probe::kClosed;
  if (!run(result, closed, workload, round)) return result;
  if (workload.shape == Shape::kPingPong) return result;  // Its calls are due when they come.
  Orders open = orders_of(lock, workload, tsc_, next_path());
  open.probe = Probe::kOpen;
  const double gap_ns = result.metrics["probed_ns_per_operation"] * workload.workers() / kOpenLoad;
  open.gap_ticks = std::max<std::uint64_t>(1, tsc_.to_ticks(static_cast<std::int64_t>(gap_ns)));
  run(result, open, workload, round);
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
