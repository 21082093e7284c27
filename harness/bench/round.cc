#include "harness/bench/round.h"

#include <fmt/format.h>

#include <memory>
#include <numeric>

#include "reports/statistics.h"

namespace hobbs::bench {
namespace {

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

double operations_of(const RoundSum& sum) {
  return std::accumulate(sum.operations.begin(), sum.operations.end(), 0.0);
}

std::string broken_by(const RoundSum& sum) {
  if (sum.entries != sum.exclusive) {
    return fmt::format("it does not exclude: {} of {} updates of the data it protects were lost",
                       sum.exclusive - sum.entries, sum.exclusive);
  }
  if (sum.errors != 0) {
    return fmt::format("{} of {} calls gave an error", sum.errors,
                       static_cast<std::uint64_t>(operations_of(sum)));
  }
  return "";
}

void tell_throughput(Measurement& into, const RoundSum& sum) {
  const double operations = operations_of(sum);
  std::map<std::string, double>& metrics = into.metrics;
  into.ns_per_operation = sum.elapsed_ns / operations;
  metrics["operations_per_second"] = 1e9 / into.ns_per_operation;
  metrics["cpu_ns_per_operation"] = static_cast<double>(sum.cpu_ns) / operations;
  metrics["switches_per_operation"] = static_cast<double>(sum.switches) / operations;
  metrics["failed_share"] = static_cast<double>(sum.failures) / operations;
  if (sum.operations.size() < 2) return;
  metrics["jain"] = jain_index(sum.operations);
  for (std::size_t i = 0; i < sum.operations.size(); ++i) {
    metrics[fmt::format("share_{:02}", i + 1)] = sum.operations[i] / operations;
  }
}

void tell_closed(Measurement& into, const RoundSum& sum) {
  const double operations = operations_of(sum);
  std::map<std::string, double>& metrics = into.metrics;
  metrics["probed_ns_per_operation"] = sum.elapsed_ns / operations;
  metrics["probed_cpu_ns_per_operation"] = static_cast<double>(sum.cpu_ns) / operations;
  tell(metrics, "acquire", sum.acquire);
  if (sum.acquire.count() != 0) {
    metrics["wait_weighted_p50"] = static_cast<double>(sum.acquire.weighted_quantile(0.5));
  }
  if (sum.operations.size() < 2) return;
  if (sum.handoff.count() != 0) {
    tell(metrics, "handoff", sum.handoff);
    metrics["handoff_share"] =
        // The first had nobody to take it over from.
        static_cast<double>(sum.handoffs) / static_cast<double>(sum.exclusive - 1);
  }
  if (sum.bypass.count() != 0) {
    metrics["bypass_p99"] = static_cast<double>(sum.bypass.quantile(0.99));
    metrics["bypass_max"] = static_cast<double>(sum.bypass.max());
  }
}

/// Runs a round and adds what was seen. False: the measurement ends here.
bool add_round(Measurement& into, RoundSum& sum, Probe probe, double gap_ns, const RunRound& run) {
  sum = RoundSum();
  into.error = run(probe, gap_ns, sum);
  if (!into.error.empty()) return false;
  into.error = broken_by(sum);
  into.broken = !into.error.empty() && sum.entries != sum.exclusive;
  const bool none = operations_of(sum) == 0;
  if (into.error.empty() && none && probe == Probe::kNone) {
    into.error = "no call came back within the round";
  }
  // A round with probes in which the machine gave nobody a turn only has no latencies to tell.
  if (!into.error.empty() || none) return false;
  switch (probe) {
    case Probe::kNone: tell_throughput(into, sum); break;
    case Probe::kClosed: tell_closed(into, sum); break;
    case Probe::kOpen: tell(into.metrics, "response", sum.response); break;
  }
  return true;
}

}  // namespace

Measurement measure_rounds(const Workload& workload, bool latency, const RunRound& run) {
  Measurement result;
  const auto sum = std::make_unique<RoundSum>();
  if (!add_round(result, *sum, Probe::kNone, 0, run) || !latency) return result;
  if (!add_round(result, *sum, Probe::kClosed, 0, run)) return result;
  if (workload.shape == Shape::kPingPong) return result;  // Its calls are due when they come.
  const double gap_ns = result.metrics["probed_ns_per_operation"] * workload.workers() / kOpenLoad;
  add_round(result, *sum, Probe::kOpen, gap_ns, run);
  return result;
}

}  // namespace hobbs::bench
