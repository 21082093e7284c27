#include "reports/bench_html.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace hobbs {
namespace {

BenchCase measured(const std::string& lock, int workers, double ns) {
  BenchCase one;
  one.lock = lock;
  one.workload = "contended/processes:" + std::to_string(workers) + "/threads:1/hold:0ns";
  BenchSample sample{ns, 2 * ns, {{"jain", 0.9}, {"share_01", 0.75}, {"share_02", 0.25}}};
  for (const char* step : {"p50", "p75", "p90", "p95", "p99", "p99.5", "p99.9", "p99.99", "max"}) {
    sample.metrics["acquire_" + std::string(step)] = ns *= 2;
  }
  one.samples = {sample};
  return one;
}

BenchRun sample_run() {
  BenchRun run;
  run.date = "2026-01-31T12:00:00+00:00";
  for (const int workers : {2, 4}) {
    run.cases.push_back(measured("ticket", workers, 20 * workers));
    run.cases.push_back(measured("pthread.mutex", workers, 40));
    run.cases.push_back(measured("</script><b>", workers, 60));
  }
  BenchCase refused;
  refused.lock = "std.mutex";
  refused.workload = run.cases[0].workload;
  refused.state = BenchState::kRefused;
  refused.reason = "it is for threads & of one process only";
  run.cases.push_back(refused);
  return run;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(BenchHtml, SaysInTablesWhatTheRunSays) {
  const std::string page = render_bench_html(sample_run(), "");
  EXPECT_EQ(count(page, "<section id=\"w"), 2u);
  EXPECT_NE(page.find("<th scope=\"row\">ticket</th><td>40 ns</td><td>1.00x</td>"),
            std::string::npos);
  EXPECT_NE(page.find("to pthread.mutex"), std::string::npos);
  EXPECT_NE(page.find("<td>25.0%</td><td>75.0%</td>"), std::string::npos);
  EXPECT_NE(page.find("threads &amp; of one process only"), std::string::npos);
}

TEST(BenchHtml, HoldsTheDataOfItsCharts) {
  const std::string page = render_bench_html(sample_run(), "");
  EXPECT_EQ(count(page, "data-workload="), 2u);
  EXPECT_EQ(count(page, "<figure class=\"chart\" data-group="), 1u);
  EXPECT_NE(page.find("\"workers\":[2,4]"), std::string::npos);
  EXPECT_NE(page.find("uPlot 1.6.32, MIT"), std::string::npos);
}

TEST(BenchHtml, IsOneFileThatNothingCanBreakOutOf) {
  const std::string page = render_bench_html(sample_run(), "");
  EXPECT_EQ(count(page, "</script>"), 2u) << "a lock's name ended a script";
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  for (const char* outside : {"src=\"", "href=\"http", "@import", "url("}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  if (const char* directory = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR"); directory != nullptr) {
    std::ofstream(std::string(directory) + "/bench.html") << page;
  }
}

}  // namespace
}  // namespace hobbs
