// Locks that come as machine code without source: each planted bug is found by its rule, quickly,
// and the controls are searched completely and not accused.
#include "harness/step/testing/plain_locks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "harness/step/programs.h"
#include "harness/step/search.h"
#include "harness/step/step_driver.h"

namespace hobbs {
namespace {

template <std::size_t i>
void add_calls(LockOps& ops) {
  ops.acquire = [](void* at) { return plain_locks[i].lock(at), Outcome::kAcquired; };
  ops.release = [](void* at) { return plain_locks[i].unlock(at), Outcome::kReleased; };
  if (plain_locks[i].try_lock != nullptr) {
    ops.try_acquire = [](void* at) {
      return plain_locks[i].try_lock(at) != 0 ? Outcome::kAcquired : Outcome::kBusy;
    };
  }
  if (plain_locks[i].timed_lock != nullptr) {
    ops.acquire_until = [](void* at, std::int64_t deadline_ns) {
      return plain_locks[i].timed_lock(at, deadline_ns) != 0 ? Outcome::kAcquired
                                                             : Outcome::kTimedOut;
    };
  }
  if (plain_locks[i].lock_shared == nullptr) return;
  ops.acquire_shared = [](void* at) { return plain_locks[i].lock_shared(at), Outcome::kAcquired; };
  ops.release_shared = [](void* at) {
    return plain_locks[i].unlock_shared(at), Outcome::kReleased;
  };
}

template <std::size_t i>
LockSpec plain_spec() {
  LockSpec spec;
  spec.name = plain_locks[i].name;
  spec.claims.semaphore = plain_locks[i].permits > 0;
  spec.claims.permits = std::max(1u, plain_locks[i].permits);
  if (plain_locks[i].workers > 0) spec.claims.max_workers = plain_locks[i].workers;
  spec.real.size = kPlainLockBytes;
  spec.real.align = 64;
  spec.real.construct = [](void* at, const char*) { std::memset(at, 0, kPlainLockBytes); };
  spec.real.destroy = [](void*) {};
  add_calls<i>(spec.real);
  return spec;
}

template <std::size_t... i>
std::array<LockSpec, sizeof...(i)> specs_of(std::index_sequence<i...>) {
  return {plain_spec<i>()...};
}

std::array<LockSpec, kPlainLocks> plain_specs() {
  return specs_of(std::make_index_sequence<kPlainLocks>());
}

bool is_control(std::size_t i) { return *plain_locks[i].rule == 0; }

Request request() {
  Request made;
  made.until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  return made;
}

void expect_accused(std::size_t i, const LockSpec& spec) {
  StepDriver driver;
  const std::vector<Result> results = driver.run(spec, request());
  ASSERT_FALSE(results.empty());
  const Result& last = results.back();
  for (const Result& result : results)
    EXPECT_NE(result.verdict, Verdict::kInconclusive) << result.scenario << result.reason;
  EXPECT_EQ(last.verdict, Verdict::kFail) << last.reason;
  EXPECT_EQ(last.rule, plain_locks[i].rule);
  EXPECT_NE(last.scenario.find(plain_locks[i].memory), std::string::npos) << last.scenario;
  ASSERT_TRUE(last.finding.has_value());
  const ReplayOutcome again = driver.replay(spec, last.finding->replay_json, request());
  EXPECT_EQ(again.failed, again.of) << again.error;
  EXPECT_GT(again.of, 0u);
  std::printf("%-32s %-5s %-32s %s\n", spec.name.c_str(), last.rule.c_str(), last.scenario.c_str(),
              last.finding->evidence.back().c_str());
}

TEST(PlainLocks, AFaultIsToldWithItsAddressAndRealProcessesHaveIt) {
  for (const LockSpec& spec : plain_specs()) {
    const bool strays = spec.name == std::string("reads what is no address");
    if (!strays && spec.name != std::string("jumps to where no code is")) continue;
    StepDriver driver;
    const std::vector<Result> results = driver.run(spec, request());
    ASSERT_TRUE(!results.empty() && results.back().finding.has_value()) << spec.name;
    const Finding& finding = *results.back().finding;
    EXPECT_NE(finding.summary.find("SIGSEGV"), std::string::npos) << finding.summary;
    EXPECT_NE(finding.summary.find(strays ? "0x5152535455565758" : "0x616263646000"),
              std::string::npos)
        << finding.summary;
    EXPECT_EQ(finding.summary.find("stray_lock+") != std::string::npos, strays);
    EXPECT_NE(finding.evidence[1].find("reproduced by real processes"), std::string::npos)
        << finding.evidence[1];
  }
}

void expect_clean(const LockSpec& spec) {
  StepDriver driver;
  for (const Result& result : driver.run(spec, request())) {
    EXPECT_EQ(result.verdict, Verdict::kPass)
        << result.scenario << " " << result.rule << " " << result.reason
        << (result.finding ? result.finding->schedule : "");
    EXPECT_TRUE(result.complete) << result.scenario;
  }
}

TEST(PlainLocks, EachPlantedBugIsFoundByItsRuleAndNoControlIsAccused) {
  const auto specs = plain_specs();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    SCOPED_TRACE(specs[i].name);
    if (is_control(i)) {
      expect_clean(specs[i]);
    } else {
      expect_accused(i, specs[i]);
    }
  }
}

std::int64_t processor_us() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

/// Goes through the searches in their order until one finds something.
bool search_finds(const LockSpec& spec) {
  for (const step::NamedProgram& program : step::step_programs(spec, 0, 0, 0)) {
    for (const auto memory : {step::Memory::kSequential, step::Memory::kTotalStoreOrder}) {
      step::World world(spec, program.program,
                        {.memory = memory, .kills = program.kills, .signals = program.signals});
      if (step::search(world, {}).end == step::SearchReport::End::kViolation) return true;
    }
  }
  return false;
}

TEST(PlainLocks, TheMedianSearchTakesLittleTime) {
  const auto specs = plain_specs();
  std::vector<std::int64_t> took_us;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (is_control(i)) continue;
    const std::int64_t start_us = processor_us();
    EXPECT_TRUE(search_finds(specs[i])) << specs[i].name;
    took_us.push_back(processor_us() - start_us);
    std::printf("%-32s %6.1f ms\n", specs[i].name.c_str(),
                static_cast<double>(took_us.back()) / 1000);
  }
  std::sort(took_us.begin(), took_us.end());
  const std::int64_t median_us = took_us[took_us.size() / 2];
  std::printf("median %.1f ms\n", static_cast<double>(median_us) / 1000);
  RecordProperty("median_us", static_cast<int>(median_us));
  // A few milliseconds on a quiet machine; of processor time, so that others count little.
  EXPECT_LT(median_us, 50'000);
}

}  // namespace
}  // namespace hobbs
