#include "harness/testing/fake_driver.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "harness/glob.h"
#include "reports/replay_case.h"

namespace hobbs::testing {
namespace {

constexpr unsigned kForeverS = 1000;

Finding finding_of(const std::string& lock, const std::string& driver, const Request& request) {
  Finding finding;
  finding.summary = "worker 2 entered while worker 1 was inside";
  finding.program = "lock work unlock | lock work unlock";
  finding.schedule = "1 2";
  finding.history = {{1, "enters", "fake.h:1", -1, -1, false},
                     {2, "enters", "fake.h:1", -1, -1, true}};
  finding.evidence = {"the witness held 1"};
  finding.failed = finding.of = 20;
  ReplayCase replay;
  replay.lock = lock;
  replay.driver = driver;
  replay.scenario = "plain";
  replay.rule = "ME-1";
  replay.program = parse_program(finding.program).program;
  replay.schedule = finding.schedule;
  replay.seed = request.seed;
  finding.replay_json = to_json(replay);
  return finding;
}

/// Whether this is the first call for that path; the file outlives the process that made it.
bool first_time(const std::string& path) {
  const bool first = access(path.c_str(), F_OK) != 0;
  std::ofstream(path) << "was here\n";
  return first;
}

class FakeDriver : public Driver {
 public:
  explicit FakeDriver(std::string name) : name_(std::move(name)) {}

  std::string_view name() const override { return name_; }

  std::string unfit(const LockSpec& lock) const override {
    return lock.name == "unfit" ? "it is not for this driver" : "";
  }

  std::vector<ScenarioInfo> scenarios(const LockSpec&) const override {
    return {{"plain", "ME-1,LV-2", "nothing special"}, {"death", "CR-1", "a worker dies"}};
  }

  std::vector<Result> run(const LockSpec& lock, const Request& request) override {
    request.progress("at " + request.scenarios);
    misbehave(lock.name, request);
    std::vector<Result> results;
    for (const std::string& scenario : split_commas(request.scenarios)) {
      results.push_back(result_of(lock.name, scenario, request));
    }
    return results;
  }

  ReplayOutcome replay(const LockSpec& lock, std::string_view, const Request& request) override {
    ReplayOutcome outcome;
    outcome.of = 20;
    if (lock.name == "segv") raise(SIGSEGV);
    if (lock.name == "hang") sleep(kForeverS);
    if (lock.name == "unfit") outcome.error = "the case is for another lock";
    outcome.failed = lock.name == "bad" ? 20 : 0;
    outcome.result = result_of(lock.name, "plain", request);
    return outcome;
  }

 private:
  void misbehave(const std::string& lock, const Request& request) {
    if (lock == "segv") raise(SIGSEGV);
    if (lock == "segv_once" && first_time(request.work_directory + "/../" + name_)) raise(SIGSEGV);
    if (lock == "throws") throw std::runtime_error("the driver's own words");
    if (lock == "hang") sleep(kForeverS);
    if (lock == "orphan" && fork() == 0) {
      if (fork() == 0) sleep(kForeverS);
      _exit(0);
    }
    if (lock == "abort") {
      std::fputs("a check of the lock failed\n", stderr);
      std::abort();
    }
    if (lock == "crashy") {
      request.found(result_of(lock, "plain", request));
      std::abort();
    }
  }

  Result result_of(const std::string& lock, const std::string& scenario,
                   const Request& request) const {
    Result result;
    result.lock = lock;
    result.driver = name_;
    result.scenario = scenario;
    result.topology = "fork";
    result.rule = "ME-1";
    result.executions = 10;
    if (lock == "unsure") {
      result.verdict = Verdict::kInconclusive;
      result.reason = "the limit of 10 executions was hit";
    } else if (lock == "bad") {
      result.verdict = Verdict::kFail;
      result.finding = finding_of(lock, name_, request);
    }
    return result;
  }

  std::string name_;
};

}  // namespace

std::unique_ptr<Driver> fake_driver(std::string name) {
  return std::make_unique<FakeDriver>(std::move(name));
}

Drivers fake_drivers() {
  Drivers drivers;
  drivers.push_back({fake_driver("explore"), 1, false});
  drivers.push_back({fake_driver("free"), 1, true});
  return drivers;
}

LockSpec fake_lock(std::string name) {
  LockSpec lock;
  lock.name = std::move(name);
  return lock;
}

}  // namespace hobbs::testing
