#include "reports/render/sample_run.h"

namespace hobbs::testing {
namespace {

Result result(const char* lock, const char* driver, const char* rule, Verdict verdict,
              const char* reason) {
  Result result;
  result.lock = lock;
  result.driver = driver;
  result.scenario = "contend";
  result.topology = driver == std::string("free") ? "fork" : "fibres";
  result.rule = rule;
  result.verdict = verdict;
  result.reason = reason;
  result.executions = 1200;
  result.duration_ms = 1530;
  return result;
}

Finding ordered_finding() {
  Finding finding;
  finding.summary = "worker 2 entered while worker 1 was inside";
  finding.program = "lock work unlock | lock work unlock";
  finding.schedule = "1 1 2 2 1 2";
  finding.history = {
      {1, "load state = 0", "a_spin_lock.h:12", -1, -1, false},
      {2, "load state = 0", "a_spin_lock.h:12", -1, -1, false},
      {1, "store state 0 -> 1, which worker 2 no longer sees", "a_spin_lock.h:13", -1, -1, true},
      {1, "enters", "", -1, -1, false},
      {2, "store state 1 -> 1", "a_spin_lock.h:13", -1, -1, true},
      {2, "enters", "", -1, -1, true},
  };
  finding.evidence = {"the witness held (1, 1) when worker 2 entered"};
  finding.failed = 20;
  finding.of = 20;
  finding.replay_json = "{}";
  finding.replay = "hobbs replay hobbs-out/a_spin_lock.explore.ME-1.json";
  return finding;
}

Finding timed_finding() {
  Finding finding;
  finding.summary = "worker 1's hold and worker 3's hold overlap by 1.2 us & <more>";
  finding.program = "repeat=100: lock work(20us) unlock | lock unlock | lock unlock";
  finding.history = {
      {1, "lock acquired", "", 1'000'000, 1'002'500, true},
      {0, "SIGSTOP to worker 2", "", 1'001'000, 1'001'000, false},
      {3, "lock acquired", "", 1'001'300, 1'002'600, true},
      {2, "try busy", "", 1'003'000, 1'003'200, false},
  };
  finding.failed = 7;
  finding.of = 20;
  finding.replay_json = "{}";
  finding.replay = "hobbs replay 'hobbs-out/rw lock.json'";
  return finding;
}

}  // namespace

Run sample_run() {
  Run run;
  run.version = "0.0.0";
  run.command = "verify";
  run.started = "2026-01-31T12:00:00Z";
  run.machine = {{"host", "example"}, {"cpu", "Example CPU"}, {"cores", "2"}};
  run.seed = 7;
  run.duration_ms = 64'321;
  run.results.push_back(result("ticket", "explore", "ME-1,LV-2", Verdict::kPass, ""));
  run.results.back().complete = true;
  run.results.push_back(
      result("ticket", "free", "ME-1,ME-2", Verdict::kPass, "contended: 41 % of acquisitions"));
  run.results.push_back(result("a_spin_lock", "explore", "ME-1", Verdict::kFail, ""));
  run.results.back().finding = ordered_finding();
  run.results.push_back(result("a_spin_lock", "free", "*", Verdict::kSkipped,
                               "not run: the lock had a finding already"));
  run.results.push_back(result("rw lock", "free", "RW-1", Verdict::kFail, ""));
  run.results.back().finding = timed_finding();
  run.results.push_back(result("mcs", "explore", "LV-2", Verdict::kInconclusive,
                               "the limit of 1000000 executions was hit"));
  run.results.push_back(result("mcs", "free", "ME-1", Verdict::kInconclusive,
                               "only 2 % of acquisitions were contended"));
  run.results.push_back(result("file_lock", "explore", "*", Verdict::kSkipped,
                               "it is not written over the Platform seam"));
  return run;
}

}  // namespace hobbs::testing
