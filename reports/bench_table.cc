#include "reports/bench_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <vector>

#include "reports/statistics.h"

namespace hobbs {
namespace {

constexpr std::size_t kFewLocks = 12;

std::string number(double value) { return std::isnan(value) ? "-" : fmt::format("{:.3g}", value); }
std::string ratio(double value) { return std::isnan(value) ? "-" : fmt::format("{:.2f}x", value); }

/// Rows of cells, each column as wide as its widest cell; the first to the left, others right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { add(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line = fmt::format("{:<{}}", row[0], widths[0]);
      for (std::size_t i = 1; i < row.size(); ++i) {
        line += fmt::format("  {:>{}}", row[i], widths[i]);
      }
      out += line + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

class Report {
 public:
  Report(const BenchRun& run, const BenchTableOptions& options)
      : run_(run), options_(options), workloads_(workloads_of(run)) {
    for (const BenchCase& one : run.cases) {
      if (std::find(locks_.begin(), locks_.end(), one.lock) == locks_.end()) {
        locks_.push_back(one.lock);
      }
    }
  }

  std::string render() {
    head();
    overview();
    if (options_.verbose || locks_.size() <= kFewLocks) {
      for (const std::string& workload : workloads_) details(workload);
    } else {
      out_ += "\n-v shows percentiles, hand-off, fairness and costs of each workload.\n";
    }
    not_measured();
    return std::move(out_);
  }

 private:
  std::string context(std::string_view key) const {
    for (const auto& [name, value] : run_.context) {
      if (name == key) return value;
    }
    return "";
  }

  void head() {
    std::size_t repetitions = 0;
    for (const BenchCase& one : run_.cases) {
      repetitions = std::max(repetitions, one.samples.size());
    }
    out_ += fmt::format("hobbs bench: {} repetitions of rounds of {} ms; medians\n", repetitions,
                        context("round_ms"));
    out_ += fmt::format("machine: {}\n", machine_fingerprint(run_));
    if (const std::string loop = context("overhead_loop_ns"); !loop.empty()) {
      out_ += fmt::format(
          "harness: {} ns an operation around a lock that does nothing (a bare loop: {} ns); "
          "{} ns with latency probes, which throughput rounds do without\n",
          loop, context("overhead_bare_loop_ns"), context("overhead_probed_loop_ns"));
    }
    if (const std::string loop = context("agent_overhead_loop_ns"); !loop.empty()) {
      out_ += fmt::format(
          "{}: {} ns an operation around a lock that does nothing, in its own loop; {} ns with "
          "latency probes\n",
          context("agent"), loop, context("agent_overhead_probed_loop_ns"));
    }
  }

  double time_ratio(const BenchCase& one) const {
    const BenchCase* baseline = baseline_case(run_, one.workload, options_.baseline);
    return baseline == nullptr ? NAN : typical(one, "ns") / typical(*baseline, "ns");
  }

  std::string cell(const BenchCase* one) const {
    if (one == nullptr) return "";
    switch (one->state) {
      case BenchState::kMeasured:
        return fmt::format("{} ({})", duration_of_ns(typical(*one, "ns")), ratio(time_ratio(*one)));
      case BenchState::kRefused: return "-";
      case BenchState::kNotRun: return "not run";
      case BenchState::kFailed: return "failed";
      case BenchState::kBroken: return "BROKEN";
    }
    return "";
  }

  void overview() {
    out_ += "\nTime per operation over all workers, and how many times the baseline's that is:\n";
    std::vector<std::string> titles{"lock"};
    for (std::size_t i = 1; i <= workloads_.size(); ++i) titles.push_back(fmt::format("[{}]", i));
    Table table(titles);
    for (const std::string& lock : locks_) {
      std::vector<std::string> row{lock};
      for (const std::string& workload : workloads_) {
        row.push_back(cell(find_case(run_, lock, workload)));
      }
      table.add(std::move(row));
    }
    out_ += table.text();
    for (std::size_t i = 0; i < workloads_.size(); ++i) {
      const BenchCase* baseline = baseline_case(run_, workloads_[i], options_.baseline);
      out_ += fmt::format("[{}] {}{}\n", i + 1, workloads_[i],
                          baseline == nullptr ? "" : ", baseline " + baseline->lock);
    }
  }

  void details(const std::string& workload) {
    std::vector<const BenchCase*> cases;
    for (const BenchCase& one : run_.cases) {
      if (one.workload == workload && one.state == BenchState::kMeasured && !one.samples.empty()) {
        cases.push_back(&one);
      }
    }
    if (cases.empty()) return;
    std::stable_sort(cases.begin(), cases.end(), [](const BenchCase* a, const BenchCase* b) {
      return typical(*a, "ns") < typical(*b, "ns");
    });
    out_ += fmt::format("\n{}\n", workload);
    if (workload.starts_with("crash_")) {
      recoveries(cases);
    } else {
      measures(cases);
    }
  }

  void recoveries(const std::vector<const BenchCase*>& cases) {
    Table table({"lock", "recovery p50", "ratio", "max", "bytes"});
    for (const BenchCase* one : cases) {
      table.add({one->lock, duration_of_ns(typical(*one, "recovery_p50")), ratio(time_ratio(*one)),
                 duration_of_ns(typical(*one, "recovery_max")),
                 number(typical(*one, "bytes_per_lock"))});
    }
    out_ += table.text();
  }

  void measures(const std::vector<const BenchCase*>& cases) {
    Table table({"lock", "time/op", "ratio", "spread", "wait p50", "p90", "p99", "p99.9", "p99.99",
                 "max", "due p50", "due p99", "hand-off", "share", "Jain", "bypass", "CPU/op",
                 "switches/op", "bytes"});
    for (const BenchCase* one : cases) {
      const auto of = [&](const char* metric) { return typical(*one, metric); };
      table.add({one->lock, duration_of_ns(of("ns")), ratio(time_ratio(*one)), spread(*one),
                 duration_of_ns(of("acquire_p50")), duration_of_ns(of("acquire_p90")),
                 duration_of_ns(of("acquire_p99")), duration_of_ns(of("acquire_p99.9")),
                 duration_of_ns(of("acquire_p99.99")), duration_of_ns(of("acquire_max")),
                 duration_of_ns(of("response_p50")), duration_of_ns(of("response_p99")),
                 duration_of_ns(of("handoff_p50")), number(of("handoff_share")), number(of("jain")),
                 number(of("bypass_max")), duration_of_ns(of("cpu_ns")),
                 number(of("switches_per_operation")), number(of("bytes_per_lock"))});
    }
    out_ += table.text();
  }

  static std::string spread(const BenchCase& one) {
    if (one.samples.size() < 2) return "-";
    double low = INFINITY;
    double high = 0;
    for (const BenchSample& sample : one.samples) {
      low = std::min(low, sample.ns);
      high = std::max(high, sample.ns);
    }
    return fmt::format("{:.0f}%", 100 * (high - low) / typical(one, "ns"));
  }

  void not_measured() {
    std::map<std::string, std::vector<std::string>> by_reason;
    std::vector<std::string> order;
    for (const BenchCase& one : run_.cases) {
      if (one.state == BenchState::kMeasured) continue;
      const bool refused = one.state == BenchState::kRefused;
      const std::string reason =
          (refused ? "refused: " : cell(&one) + ": " + one.workload + ": ") + one.reason;
      auto& names = by_reason[reason];
      if (names.empty()) order.push_back(reason);
      if (std::find(names.begin(), names.end(), one.lock) == names.end()) {
        names.push_back(one.lock);
      }
    }
    if (!order.empty()) out_ += "\nNot measured:\n";
    for (const std::string& reason : order) {
      out_ += fmt::format("  {}: {}\n", reason, fmt::join(by_reason[reason], ", "));
    }
  }

  const BenchRun& run_;
  const BenchTableOptions& options_;
  std::vector<std::string> workloads_;
  std::vector<std::string> locks_;
  std::string out_;
};

}  // namespace

std::string duration_of_ns(double ns) {
  if (std::isnan(ns)) return "-";
  if (ns < 999.5) return fmt::format("{:.3g} ns", ns);
  if (ns < 999.5e3) return fmt::format("{:.3g} us", ns / 1e3);
  if (ns < 999.5e6) return fmt::format("{:.3g} ms", ns / 1e6);
  return fmt::format("{:.3g} s", ns / 1e9);
}

std::string render_bench_table(const BenchRun& run, const BenchTableOptions& options) {
  return Report(run, options).render();
}

}  // namespace hobbs
