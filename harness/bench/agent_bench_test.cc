#include "harness/bench/agent_bench.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hobbs::bench {
namespace {

using std::chrono::milliseconds;

constexpr int kLooks = 100;  // At a broken lock; see each test.

Workload workload_of(Shape shape, std::uint32_t processes, std::uint32_t threads) {
  Workload workload;
  workload.name = "test";
  workload.shape = shape;
  workload.processes = processes;
  workload.threads = threads;
  workload.hold_ns = 2'000;
  workload.timeout_ns = 50'000;
  return workload;
}

AgentCommand planted_agent() {
  return find_agent("exec:" + find_agent("python").words.at(0) +
                    " -W ignore harness/bench/testing/planted_agent.py");
}

class AgentBenchTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/agent-bench-" + std::to_string(getpid());
    std::filesystem::create_directory(directory_);
  }
  void TearDown() override {  // When all agents are gone.
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
    std::filesystem::remove_all(directory_);
  }

  std::string directory_;
};

/// The lock as the agent lists it; one that it does not list refuses nothing.
AgentLock lock_of(const AgentBench& agent, const std::string& kind) {
  for (const AgentLock& lock : agent.locks()) {
    if (lock.kind == kind) return lock;
  }
  return {kind, {}};
}

TEST_F(AgentBenchTest, EveryShapeAndTopologyGivesNumbers) {
  AgentBench agent(find_agent("python"), directory_);
  ASSERT_EQ(agent.start(), "");
  for (const char* kind : {"th.Lock", "mp.Lock", "fa.InterProcessLock", "fa.ReaderWriterLock"}) {
    const AgentLock lock = lock_of(agent, kind);
    for (const Shape shape : {Shape::kLoop, Shape::kPingPong, Shape::kTry, Shape::kTimed}) {
      for (const auto& [processes, threads] : {std::pair{2u, 1u}, std::pair{1u, 2u}}) {
        const Workload workload = workload_of(shape, processes, threads);
        if (!refusal(lock, workload).empty()) continue;
        SCOPED_TRACE(std::string(kind) + " " + label(workload));
        const Measurement result = agent.measure(lock, workload, milliseconds(20), true);
        EXPECT_EQ(result.error, "");
        EXPECT_GT(result.ns_per_operation, 0);
        EXPECT_GT(result.metrics.at("cpu_ns_per_operation"), 0);
        EXPECT_EQ(result.metrics.count("bytes_per_lock"), 0u) << "which nobody can tell";
        EXPECT_GE(result.metrics.at("jain"), 0.49);
        EXPECT_NEAR(result.metrics.at("share_01") + result.metrics.at("share_02"), 1, 1e-9);
        // All tries of a short round may have failed.
        if (shape == Shape::kTry || shape == Shape::kTimed) continue;
        EXPECT_GE(result.metrics.at("acquire_p99"), result.metrics.at("acquire_p50"));
        EXPECT_GE(result.metrics.at("acquire_max"), result.metrics.at("acquire_p99"));
      }
    }
  }
}

TEST_F(AgentBenchTest, ReadersAreMeasuredToo) {
  AgentBench agent(find_agent("python"), directory_);
  ASSERT_EQ(agent.start(), "");
  Workload workload = workload_of(Shape::kLoop, 2, 1);
  workload.reads_per_mille = 900;
  const AgentLock lock = lock_of(agent, "fa.InterProcessReaderWriterLock");
  if (!refusal(lock, workload).empty()) GTEST_SKIP() << refusal(lock, workload);
  EXPECT_EQ(agent.measure(lock, workload, milliseconds(20), true).error, "");
}

/// Two processes inside for 2 us each lose updates in every round in which both have a core; two
/// threads, whenever the interpreter switches between them inside. On a crowded machine either may
/// take some rounds, and a lock that excludes loses none in any.
TEST_F(AgentBenchTest, ALockThatDoesNotExcludeIsBrokenAndOneThatDoesIsNot) {
  AgentBench agent(find_agent("python"), directory_);
  ASSERT_EQ(agent.start(), "");
  for (const auto& [processes, threads] : {std::pair{2u, 1u}, std::pair{1u, 2u}}) {
    const Workload workload = workload_of(Shape::kLoop, processes, threads);
    Measurement result;
    int looks = 0;
    for (; looks < kLooks && !result.broken; ++looks) {
      result = agent.measure({"nothing", {}}, workload, milliseconds(50), false);
      ASSERT_TRUE(result.broken || result.error.empty()) << result.error;
    }
    EXPECT_TRUE(result.broken) << label(workload);
    EXPECT_NE(result.error.find("does not exclude"), std::string::npos) << result.error;
    const char* healthy = processes > 1 ? "mp.Lock" : "th.Lock";
    for (int i = 0; i < looks; ++i) {
      EXPECT_EQ(agent.measure(lock_of(agent, healthy), workload, milliseconds(50), false).error,
                "");
    }
  }
}

TEST_F(AgentBenchTest, TroubleIsToldInWordsAndTheNextLockIsMeasured) {
  AgentBench agent(planted_agent(), directory_);
  ASSERT_EQ(agent.start(), "");
  const Workload workload = workload_of(Shape::kLoop, 2, 1);
  for (const auto& [kind, words] : {std::pair{"planted.dies", "a worker was ended by signal 9"},
                                    {"planted.leaves", "a worker ended by itself, with code 3"},
                                    {"planted.raises", "ValueError: no such luck"},
                                    {"planted.fails", "returned without the lock"},
                                    {"planted.ends_the_agent", "the agent A ended during the call"},
                                    {"mp.Nonsense", "AttributeError"}}) {
    const Measurement result = agent.measure({kind, {}}, workload, milliseconds(20), true);
    EXPECT_NE(result.error.find(words), std::string::npos) << kind << ": " << result.error;
    EXPECT_FALSE(result.broken) << kind;
    EXPECT_EQ(agent.measure({"mp.Lock", {}}, workload, milliseconds(20), false).error, "") << kind;
  }
}

TEST_F(AgentBenchTest, ALockThatHangsEndsTheRound) {
  AgentBench agent(planted_agent(), directory_, milliseconds(2'000));
  const Measurement result = agent.measure({"planted.hangs", {}}, workload_of(Shape::kLoop, 2, 1),
                                           milliseconds(20), false);
  EXPECT_NE(result.error.find("within 2 s"), std::string::npos) << result.error;
  EXPECT_FALSE(result.broken);
}

TEST_F(AgentBenchTest, AnAgentThatDoesNotMeasureIsRefusedWithThatReason) {
  AgentBench agent(find_agent("cpp", "harness/agent/agent"), directory_);
  ASSERT_EQ(agent.start(), "") << "it is an agent";
  ASSERT_FALSE(agent.locks().empty());
  for (const AgentLock& lock : agent.locks()) {
    const std::string why = refusal(lock, workload_of(Shape::kLoop, 1, 1));
    EXPECT_NE(why.find("knows no operation 'locks'"), std::string::npos) << why;
  }
  EXPECT_TRUE(agent.overhead().empty());
}

TEST_F(AgentBenchTest, WhatIsNoAgentSaysWhyAndHasItsLocksRefused) {
  for (AgentCommand command : {find_agent("exec:false"), find_agent("cobol")}) {
    AgentBench agent(std::move(command), directory_);
    const std::string why = agent.start();
    EXPECT_NE(why, "");
    ASSERT_FALSE(agent.locks().empty());
    EXPECT_EQ(refusal(agent.locks().front(), workload_of(Shape::kLoop, 1, 1)), why);
  }
}

TEST_F(AgentBenchTest, TheLoopAroundNothingIsTold) {
  AgentBench agent(find_agent("python"), directory_);
  ASSERT_EQ(agent.start(), "");
  for (const AgentLock& lock : agent.locks()) EXPECT_NE(lock.kind, "nothing");
  const auto facts = agent.overhead();
  ASSERT_EQ(facts.size(), 3u);
  EXPECT_EQ(facts[0].second, "python");
  EXPECT_GT(std::stod(facts[1].second), 0) << facts[1].first;
  EXPECT_GT(std::stod(facts[2].second), std::stod(facts[1].second)) << "which also reads clocks";
}

TEST_F(AgentBenchTest, PythonsLocksAreRefusedWhereTheyAreNotFor) {
  AgentBench agent(find_agent("python"), directory_);
  ASSERT_EQ(agent.start(), "");
  const auto refused = [&](const char* kind, const Workload& workload) {
    return !refusal(lock_of(agent, kind), workload).empty();
  };
  for (const char* kind : {"th.Lock", "th.RLock", "th.Semaphore", "fa.ReaderWriterLock"}) {
    EXPECT_TRUE(refused(kind, workload_of(Shape::kLoop, 2, 1))) << kind;
    EXPECT_TRUE(refused(kind, workload_of(Shape::kLoop, 2, 2))) << kind;
  }
  for (const char* kind : {"fa.InterProcessLock", "fa.InterProcessReaderWriterLock"}) {
    EXPECT_TRUE(refused(kind, workload_of(Shape::kLoop, 1, 2))) << kind;
  }
  Workload readers = workload_of(Shape::kLoop, 1, 2);
  readers.reads_per_mille = 500;
  for (const char* kind : {"th.Lock", "mp.Lock"}) {
    EXPECT_FALSE(refused(kind, workload_of(Shape::kLoop, 1, 2))) << kind;
    EXPECT_TRUE(refused(kind, readers)) << kind;
    EXPECT_TRUE(refused(kind, workload_of(Shape::kManyLocks, 1, 2))) << kind;
    EXPECT_TRUE(refused(kind, workload_of(Shape::kCrash, 2, 1))) << kind;
  }
  EXPECT_FALSE(refused("mp.Lock", workload_of(Shape::kTimed, 2, 2)));
}

constexpr char kWorker[] =
    R"({"operations":3,"exclusive":3,"failures":0,"handoffs":1,"switches":2,"cpu_ns":50,)"
    R"("from_ns":100,"to_ns":400})";

std::string round_json(const std::string& workers, int entries) {
  return R"({"workers":[)" + workers + R"(],"entries":)" + std::to_string(entries) +
         R"(,"acquire":[[5,2],[1000,1]],"response":[],"handoff":[[7,1]],"bypass":[[0,3]]})";
}

TEST(ReadRound, SumsUpWhatWorkersDid) {
  const auto sum = std::make_unique<RoundSum>();
  const Workload pair = workload_of(Shape::kLoop, 2, 1);
  read_round(round_json(std::string(kWorker) + "," + kWorker, 6), pair, *sum);
  EXPECT_EQ(sum->operations, (std::vector<double>{3, 3}));
  EXPECT_EQ(sum->exclusive, 6u);
  EXPECT_EQ(sum->entries, 6u);
  EXPECT_EQ(sum->elapsed_ns, 300);
  EXPECT_EQ(sum->cpu_ns, 100);
  EXPECT_EQ(sum->acquire.count(), 3u);
  EXPECT_EQ(sum->acquire.max(), 1000u);
  EXPECT_EQ(sum->acquire.quantile(0.5), 5u);
  EXPECT_EQ(sum->handoff.count(), 1u);
}

TEST(ReadRound, OtherTextIsTheAgentsFault) {
  const auto sum = std::make_unique<RoundSum>();
  const Workload alone = workload_of(Shape::kLoop, 1, 1);
  const std::string good = round_json(kWorker, 3);
  EXPECT_NO_THROW(read_round(good, alone, *sum));
  const std::vector<std::string> bad{"null",
                                     "[]",
                                     "{}",
                                     R"({"workers":[]})",
                                     round_json("", 0),                 // Nobody worked,
                                     round_json(kWorker, 4),            // more were inside,
                                     round_json("{}", 3),               // nothing is told,
                                     good.substr(0, good.size() - 1)};  // it is cut off.
  for (const std::string& json : bad) {
    *sum = RoundSum();
    EXPECT_THROW(read_round(json, alone, *sum), AgentFault) << json;
  }
  // Counts that are none, or too large to be true: no lock is measured by them, nor accused.
  for (const char* count : {"2.5", "-1", "9223372036854775808", "\"3\"", "null", "[]"}) {
    for (const char* what : {"\"operations\":3", "\"exclusive\":3", "\"entries\":3",
                             "\"cpu_ns\":50", "\"to_ns\":400", "[5,2", "[1000,1"}) {
      std::string json = good;
      const std::size_t at = json.find(what);
      ASSERT_NE(at, std::string::npos) << what;
      const std::size_t number = json.find_last_of(":,[", at + std::strlen(what) - 1) + 1;
      json.replace(number, at + std::strlen(what) - number, count);
      *sum = RoundSum();
      EXPECT_THROW(read_round(json, alone, *sum), AgentFault) << json;
    }
  }
}

}  // namespace
}  // namespace hobbs::bench
