#include "reports/bench_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "reports/bench_table.h"
#include "reports/render/timeline.h"
#include "reports/web/embedded.h"

namespace hobbs {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSteps[] = {"p50",   "p75",   "p90",    "p95", "p99",
                                  "p99.5", "p99.9", "p99.99", "max"};

struct Column {
  const char* title;
  const char* metric;
  bool time;
};
constexpr Column kColumns[] = {{"wait p50", "acquire_p50", true},
                               {"p90", "acquire_p90", true},
                               {"p99", "acquire_p99", true},
                               {"p99.9", "acquire_p99.9", true},
                               {"p99.99", "acquire_p99.99", true},
                               {"max", "acquire_max", true},
                               {"due p99", "response_p99", true},
                               {"hand-off", "handoff_p50", true},
                               {"hand-off share", "handoff_share", false},
                               {"bypass", "bypass_max", false},
                               {"CPU/op", "cpu_ns", true},
                               {"switches/op", "switches_per_operation", false},
                               {"bytes", "bytes_per_lock", false}};

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::vector<const BenchCase*> measured_cases(const BenchRun& run, const std::string& workload) {
  std::vector<const BenchCase*> cases;
  for (const BenchCase& one : run.cases) {
    if (one.workload == workload && one.state == BenchState::kMeasured && !one.samples.empty()) {
      cases.push_back(&one);
    }
  }
  std::stable_sort(cases.begin(), cases.end(), [](const BenchCase* a, const BenchCase* b) {
    return typical(*a, "ns") < typical(*b, "ns");
  });
  return cases;
}

std::vector<double> shares_of(const BenchCase& one) {
  std::vector<double> shares;
  for (int i = 1;; ++i) {
    const double share = typical(one, fmt::format("share_{:02}", i));
    if (std::isnan(share)) return shares;
    shares.push_back(share);
  }
}

/// "contended/processes:4/threads:1/hold:0ns/..." as the curve it is a point of, and where.
struct Point {
  std::string curve;
  int workers = 0;
};
std::optional<Point> point_of(const std::string& workload) {
  int processes = 0;
  int threads = 0;
  const std::size_t at = workload.find("/processes:");
  if (at == std::string::npos) return std::nullopt;
  int length = 0;
  if (std::sscanf(workload.c_str() + at, "/processes:%d/threads:%d%n", &processes, &threads,
                  &length) != 2) {
    return std::nullopt;
  }
  const char* kind = processes == 1 ? "/threads" : threads == 1 ? "/processes" : "/mixed";
  return Point{workload.substr(0, at) + kind + workload.substr(at + static_cast<size_t>(length)),
               processes * threads};
}

/// One curve a lock over the numbers of workers, for every family with more than one number.
Json scaling_of(const BenchRun& run, std::vector<std::string>& titles) {
  std::map<std::string, std::map<int, std::string>> curves;
  std::vector<std::string> order;
  for (const std::string& workload : workloads_of(run)) {
    const std::optional<Point> point = point_of(workload);
    if (!point) continue;
    if (curves.count(point->curve) == 0) order.push_back(point->curve);
    curves[point->curve][point->workers] = workload;
  }
  Json groups = Json::array();
  for (const std::string& curve : order) {
    const std::map<int, std::string>& points = curves[curve];
    if (points.size() < 2) continue;
    Json workers = Json::array();
    for (const auto& [count, workload] : points) workers.push_back(count);
    Json locks = Json::array();
    for (const BenchCase* first : measured_cases(run, points.begin()->second)) {
      Json rates = Json::array();
      for (const auto& [count, workload] : points) {
        const BenchCase* found = find_case(run, first->lock, workload);
        rates.push_back(found == nullptr ? Json(nullptr) : number(1e9 / typical(*found, "ns")));
      }
      locks.push_back(Json{{"lock", first->lock}, {"rates", std::move(rates)}});
    }
    if (locks.empty()) continue;
    groups.push_back(Json{{"workers", std::move(workers)}, {"locks", std::move(locks)}});
    titles.push_back(curve);
  }
  return groups;
}

class Page {
 public:
  Page(const BenchRun& run, const std::string& baseline)
      : run_(run), baseline_(baseline), workloads_(workloads_of(run)) {}

  std::string render() {
    add("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<link rel=\"icon\" href=\"data:,\">\n<title>hobbs bench</title>\n<style>\n");
    out_ += bench_page_style();
    add("</style>\n</head>\n<body>\n<main>\n");
    head();
    std::vector<std::string> titles;
    const Json scaling = scaling_of(run_, titles);
    contents(titles);
    for (std::size_t i = 0; i < workloads_.size(); ++i) workload(i);
    for (std::size_t i = 0; i < titles.size(); ++i) {
      add("<section id=\"g{0}\">\n<h2>Over workers: {1}</h2>\n"
          "<figure class=\"chart\" data-group=\"{0}\"></figure>\n</section>\n",
          i, breakable(titles[i]));
    }
    not_measured();
    add("</main>\n");
    script(scaling);
    add("</body>\n</html>\n");
    return std::move(out_);
  }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  std::string context(std::string_view key) const {
    for (const auto& [name, value] : run_.context) {
      if (name == key) return value;
    }
    return "";
  }

  /// A workload's label, which may be broken after each of its parts.
  static std::string breakable(std::string_view label) {
    std::string text = html_escaped(label);
    for (std::size_t at = 0; (at = text.find('/', at)) != std::string::npos; at += 6) {
      text.replace(at, 1, "/<wbr>");
    }
    return text;
  }

  void head() {
    add("<h1>hobbs bench</h1>\n<p>{} workloads on {}, {}</p>\n", workloads_.size(),
        html_escaped(machine_fingerprint(run_)), html_escaped(run_.date));
    add("<p class=\"faint\">Medians over repetitions. Times are per operation over all workers; a "
        "ratio below 1 is quicker than the baseline. \"wait\" is from the call to the lock held; "
        "\"due\" is from when the call was due, at half the throughput, so that nothing that a "
        "slow lock holds up is left out.");
    if (!context("overhead_loop_ns").empty()) {
      add(" Rounds of {} ms. The harness itself takes {} ns an operation, and {} ns with the "
          "clocks "
          "that throughput rounds do without.",
          html_escaped(context("round_ms")), html_escaped(context("overhead_loop_ns")),
          html_escaped(context("overhead_probed_loop_ns")));
    }
    if (!context("agent_overhead_loop_ns").empty()) {
      add(" The loop of {} takes {} ns, and {} ns with the clocks.", html_escaped(context("agent")),
          html_escaped(context("agent_overhead_loop_ns")),
          html_escaped(context("agent_overhead_probed_loop_ns")));
    }
    add("</p>\n<noscript><p>Charts need scripts; the tables hold the same numbers.</p></noscript>"
        "\n");
  }

  void contents(const std::vector<std::string>& titles) {
    add("<nav aria-label=\"Workloads\"><ul>\n");
    for (std::size_t i = 0; i < workloads_.size(); ++i) {
      add("<li><a href=\"#w{}\">{}</a></li>\n", i, breakable(workloads_[i]));
    }
    for (std::size_t i = 0; i < titles.size(); ++i) {
      add("<li><a href=\"#g{}\">Over workers: {}</a></li>\n", i, breakable(titles[i]));
    }
    add("</ul></nav>\n");
  }

  void workload(std::size_t index) {
    const std::vector<const BenchCase*> cases = measured_cases(run_, workloads_[index]);
    add("<section id=\"w{}\">\n<h2>{}</h2>\n", index, breakable(workloads_[index]));
    if (cases.empty()) {
      add("<p class=\"faint\">Nothing was measured here.</p>\n</section>\n");
      return;
    }
    const bool waits = !std::isnan(typical(*cases.front(), "acquire_p50"));
    if (waits) add("<figure class=\"chart\" data-workload=\"{}\"></figure>\n", index);
    table(cases);
    fairness(cases);
    add("</section>\n");
  }

  void table(const std::vector<const BenchCase*>& cases) {
    const BenchCase* baseline = baseline_case(run_, cases.front()->workload, baseline_);
    const double base_ns = typical(*baseline, "ns");
    double slowest = 1;
    for (const BenchCase* one : cases) slowest = std::max(slowest, typical(*one, "ns") / base_ns);
    add("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">lock</th>"
        "<th scope=\"col\">time/op</th><th scope=\"col\" colspan=\"2\">to {}</th>",
        html_escaped(baseline->lock));
    for (const Column& column : kColumns) add("<th scope=\"col\">{}</th>", column.title);
    add("</tr></thead>\n<tbody>\n");
    for (const BenchCase* one : cases) {
      const double ratio = typical(*one, "ns") / base_ns;
      add("<tr{}><th scope=\"row\">{}</th><td>{}</td><td>{:.2f}x</td>"
          "<td><span class=\"ratio\"><i style=\"width:{:.1f}%\"></i></span></td>",
          one == baseline ? " class=\"baseline\"" : "", html_escaped(one->lock),
          duration_of_ns(typical(*one, "ns")), ratio,
          // A logarithm, so that one lock a thousand times slower does not flatten the others.
          100 * std::log1p(ratio) / std::log1p(slowest));
      for (const Column& column : kColumns) {
        const double value = typical(*one, column.metric);
        add("<td>{}</td>", column.time         ? duration_of_ns(value)
                           : std::isnan(value) ? "-"
                                               : fmt::format("{:.3g}", value));
      }
      add("</tr>\n");
    }
    add("</tbody></table></div>\n");
  }

  void fairness(const std::vector<const BenchCase*>& cases) {
    if (shares_of(*cases.front()).size() < 2) return;
    add("<h3>Fairness: each worker's share of the operations</h3>\n"
        "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">lock</th>"
        "<th scope=\"col\">Jain's index</th><th scope=\"col\">shares</th>"
        "<th scope=\"col\">least</th><th scope=\"col\">most</th></tr></thead>\n<tbody>\n");
    for (const BenchCase* one : cases) {
      const std::vector<double> shares = shares_of(*one);
      if (shares.empty()) continue;
      add("<tr><th scope=\"row\">{}</th><td>{:.3f}</td><td><span class=\"shares\">",
          html_escaped(one->lock), typical(*one, "jain"));
      for (const double share : shares) add("<i style=\"flex:{:.4f} 1 0\"></i>", share);
      add("</span></td><td>{:.1f}%</td><td>{:.1f}%</td></tr>\n",
          100 * *std::min_element(shares.begin(), shares.end()),
          100 * *std::max_element(shares.begin(), shares.end()));
    }
    add("</tbody></table></div>\n");
  }

  void not_measured() {
    std::map<std::string, std::set<std::string>> by_reason;
    for (const BenchCase& one : run_.cases) {
      if (one.state == BenchState::kMeasured) continue;
      const bool refused = one.state == BenchState::kRefused;
      by_reason[(refused ? "Refused: " : one.workload + ": ") + one.reason].insert(one.lock);
    }
    if (by_reason.empty()) return;
    add("<section>\n<h2>Not measured</h2>\n<ul>\n");
    for (const auto& [reason, locks] : by_reason) {
      add("<li>{}: <span class=\"faint\">{}</span></li>\n", html_escaped(reason),
          html_escaped(fmt::format("{}", fmt::join(locks, ", "))));
    }
    add("</ul>\n</section>\n");
  }

  void script(const Json& scaling) {
    Json workloads = Json::array();
    for (const std::string& name : workloads_) {
      Json cases = Json::array();
      for (const BenchCase* one : measured_cases(run_, name)) {
        Json entry{{"lock", one->lock}, {"ns", number(typical(*one, "ns"))}};
        if (!std::isnan(typical(*one, "acquire_p50"))) {
          Json& steps = entry["percentiles"] = Json::array();
          for (const char* step : kSteps) {
            steps.push_back(number(typical(*one, std::string("acquire_") + step)));
          }
        }
        cases.push_back(std::move(entry));
      }
      workloads.push_back(Json{{"name", name}, {"cases", std::move(cases)}});
    }
    std::string text = Json{{"workloads", std::move(workloads)}, {"scaling", scaling}}.dump();
    // So that no name can end the element, or begin a comment in it.
    for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos; at += 6) {
      text.replace(at, 1, "\\u003c");
    }
    out_ += "<script type=\"application/json\" id=\"data\">" + text + "</script>\n<script>\n";
    out_ += bench_page_script();
    out_ += "</script>\n";
  }

  const BenchRun& run_;
  const std::string& baseline_;
  std::vector<std::string> workloads_;
  std::string out_;
};

}  // namespace

std::string render_bench_html(const BenchRun& run, const std::string& baseline) {
  return Page(run, baseline).render();
}

}  // namespace hobbs
