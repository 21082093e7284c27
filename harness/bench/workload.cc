#include "harness/bench/workload.h"

#include <fmt/format.h>

#include <algorithm>

namespace hobbs::bench {
namespace {

constexpr std::int64_t kPingPongDwellNs = 500;  // Until the other is surely waiting.
constexpr std::int64_t kTimeoutNs = 50'000;
constexpr std::uint32_t kManyLocks = 256;
constexpr std::uint32_t kReadsPerMille[] = {500, 900, 990, 999};

Workload loop(std::string name, std::uint32_t processes, std::uint32_t threads,
              std::int64_t hold_ns = 0, std::int64_t think_ns = 0) {
  Workload workload;
  workload.name = std::move(name);
  workload.processes = processes;
  workload.threads = threads;
  workload.hold_ns = hold_ns;
  workload.think_ns = think_ns;
  return workload;
}

Workload of_shape(std::string name, Shape shape, std::uint32_t processes, std::uint32_t threads) {
  Workload workload = loop(std::move(name), processes, threads);
  workload.shape = shape;
  if (shape == Shape::kPingPong) workload.hold_ns = kPingPongDwellNs;
  if (shape == Shape::kTimed) workload.timeout_ns = kTimeoutNs;
  if (shape == Shape::kManyLocks) workload.locks = kManyLocks;
  return workload;
}

Workload readers(std::uint32_t per_mille, std::uint32_t processes, std::uint32_t threads) {
  Workload workload = loop(fmt::format("readers_{:g}", per_mille / 10.0), processes, threads);
  workload.reads_per_mille = per_mille;
  return workload;
}

Workload unpinned(Workload workload) {
  workload.pinned = false;
  return workload;
}

/// More workers than cores, which the kernel must then be free to place.
Workload oversubscribed(std::uint32_t processes, std::uint32_t threads) {
  return unpinned(loop("oversubscribed", processes, threads));
}

std::string placement_refusal(const LockSpec& lock, const Workload& workload) {
  if (workload.processes > 1 && !lock.claims.process_shared) {
    return lock.unusable_between_processes.empty() ? "it is for threads of one process only"
                                                   : lock.unusable_between_processes;
  }
  if (workload.threads > 1 && !lock.claims.thread_shared) {
    return "it does not exclude threads of one process from each other";
  }
  if (workload.workers() > lock.claims.max_workers) {
    return fmt::format("it is for at most {} workers", lock.claims.max_workers);
  }
  return "";
}

}  // namespace

std::string label(const Workload& w) {
  std::string text = fmt::format("{}/processes:{}/threads:{}", w.name, w.processes, w.threads);
  if (w.shape == Shape::kCrash) return text;
  text += fmt::format("/hold:{}ns/think:{}ns", w.hold_ns, w.think_ns);
  return text + (w.pinned ? "/pinned" : "/free");
}

std::string refusal(const LockSpec& lock, const Workload& workload) {
  if (!lock.real.available()) return "it does not run on the machine as it is";
  if (std::string why = placement_refusal(lock, workload); !why.empty()) return why;
  const LockOps& ops = lock.real;
  if (workload.reads_per_mille != 0 && !ops.has_shared()) return "it has no shared mode";
  switch (workload.shape) {
    case Shape::kLoop: return "";
    case Shape::kPingPong:
      return lock.claims.semaphore && lock.claims.permits > 1
                 ? "two may hold it at once, so that nobody hands it over"
                 : "";
    case Shape::kTry: return ops.try_acquire == nullptr ? "it has no try" : "";
    case Shape::kTimed: return ops.acquire_until == nullptr ? "it has no timed acquire" : "";
    case Shape::kManyLocks:
      if (lock.home == Home::kPath) return "each lock would be a file of its own";
      return lock_stride(ops) * workload.locks > kLockAreaBytes
                 ? fmt::format("{} of {} bytes are too many", workload.locks, ops.size)
                 : "";
    case Shape::kCrash:
      return lock.claims.crash == CrashBehaviour::kStuck
                 ? "a dead holder's lock stays held: its contract"
                 : "";
  }
  return "";
}

std::vector<Workload> default_workloads(std::uint32_t cores) {
  const std::uint32_t few = std::max(2u, cores);
  std::vector<Workload> all{
      loop("uncontended", 1, 1), of_shape("ping_pong", Shape::kPingPong, 2, 1),
      loop("contended", few, 1), loop("contended", few, 1, 2000),
      loop("contended", 1, few), oversubscribed(std::min(4 * cores, kMaxWorkers), 1),
      readers(900, few, 1),      of_shape("crash_recovery", Shape::kCrash, 2, 1),
  };
  return all;
}

std::vector<Workload> full_workloads(std::uint32_t cores) {
  struct Topology {
    std::uint32_t processes;
    std::uint32_t threads;
  };
  std::vector<Topology> topologies;
  for (std::uint32_t n = 2; n <= std::min(4 * cores, kMaxWorkers); n *= 2) {
    topologies.push_back({n, 1});
    topologies.push_back({1, n});
    if (n >= 4) topologies.push_back({2, n / 2});
  }
  std::vector<Workload> all{loop("uncontended", 1, 1)};
  for (const std::int64_t dwell_ns : {std::int64_t{500}, std::int64_t{100'000}}) {
    for (const Topology& t : {Topology{2, 1}, Topology{1, 2}}) {
      Workload pair = of_shape("ping_pong", Shape::kPingPong, t.processes, t.threads);
      pair.hold_ns = dwell_ns;
      all.push_back(pair);
      all.push_back(unpinned(pair));
    }
  }
  for (const Topology& t : topologies) {
    for (const std::int64_t hold_ns : {0, 200, 2000}) {
      for (const std::int64_t think_ns : {0, 1000}) {
        all.push_back(loop("contended", t.processes, t.threads, hold_ns, think_ns));
      }
    }
    all.push_back(loop("contended", t.processes, t.threads, 2000, 2000));
    all.push_back(unpinned(loop("contended", t.processes, t.threads)));
    for (const std::uint32_t per_mille : kReadsPerMille) {
      all.push_back(readers(per_mille, t.processes, t.threads));
    }
    all.push_back(of_shape("try", Shape::kTry, t.processes, t.threads));
    all.push_back(of_shape("timed", Shape::kTimed, t.processes, t.threads));
    all.push_back(of_shape("many_locks", Shape::kManyLocks, t.processes, t.threads));
  }
  for (std::uint32_t n = 2 * cores; n <= std::min(8 * cores, kMaxWorkers); n *= 2) {
    all.push_back(oversubscribed(n, 1));
    all.push_back(oversubscribed(1, n));
  }
  all.push_back(of_shape("crash_recovery", Shape::kCrash, 2, 1));
  return all;
}

}  // namespace hobbs::bench
