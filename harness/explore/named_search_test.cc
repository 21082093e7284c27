// Searches that are asked for by name: each catches what is broken, passes what is not, and says
// what it has covered.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "harness/explore/explore_driver.h"
#include "harness/explore/strategies.h"
#include "locks/mutants/split_test_and_set.h"
#include "locks/reference/ticket_lock.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

Request small_program() {
  Request request;
  request.workers = 3;
  request.acquisitions = 1;
  request.memory = "sc";
  request.until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  return request;
}

Result only_result(const LockSpec& lock, Request request) {
  std::vector<Result> results = ExploreDriver().run(lock, request);
  EXPECT_EQ(results.size(), 1u);
  return results.empty() ? Result{} : results.front();
}

/// Two are in, or the data shows that they were: which is seen first depends on the search.
void expect_split_caught(const Request& request) {
  const Result result = only_result(spec_of<mutants::SplitTestAndSet>("split"), request);
  EXPECT_EQ(result.verdict, Verdict::kFail) << result.reason;
  EXPECT_TRUE(result.rule == "ME-1" || result.rule == "MM-1") << result.rule;
}

TEST(NamedSearch, ByEveryStrategyThatDraws) {
  for (const explore::DrawnStrategy& drawn : explore::drawn_strategies()) {
    Request request = small_program();
    request.strategy = drawn.name;
    expect_split_caught(request);
    request.until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
    const Result healthy = only_result(spec_of<TicketLock>("ticket"), request);
    EXPECT_EQ(healthy.verdict, Verdict::kPass) << drawn.name << ": " << healthy.reason;
    EXPECT_GT(healthy.executions, 1000u);
  }
}

TEST(NamedSearch, ByAStrategyUsesItsTimeWhereThereIsNoEnd) {
  Request request;
  request.scenarios = "controlled/drawn";
  request.strategy = "random";
  request.memory = "sc";
  request.until = std::chrono::steady_clock::now() + std::chrono::seconds(6);
  constexpr std::uint64_t kMany = 100'000;  // Without a strategy 400 programs of 64 are enough.
  EXPECT_GT(only_result(spec_of<TicketLock>("ticket"), request).executions, kMany);
}

TEST(NamedSearch, WithinABound) {
  for (const bool delays : {false, true}) {
    Request request = small_program();
    (delays ? request.delays : request.preemptions) = 2;
    const std::string covered =
        std::string("all executions with at most 2 ") + (delays ? "delays" : "preemptions");
    const Result healthy = only_result(spec_of<TicketLock>("ticket"), request);
    EXPECT_EQ(healthy.verdict, Verdict::kPass) << healthy.reason;
    EXPECT_NE(healthy.reason.find(covered), std::string::npos) << healthy.reason;
    expect_split_caught(request);
    // It takes somebody who comes in between.
    (delays ? request.delays : request.preemptions) = 0;
    EXPECT_EQ(only_result(spec_of<mutants::SplitTestAndSet>("split"), request).verdict,
              Verdict::kPass);
  }
}

TEST(NamedSearch, SaysWhyItHasNothingToRun) {
  Request request = small_program();
  request.scenarios = "controlled/try";
  const Result other = only_result(spec_of<TicketLock>("ticket"), request);
  EXPECT_EQ(other.verdict, Verdict::kSkipped);
  EXPECT_NE(other.reason.find("controlled/named"), std::string::npos) << other.reason;
  request = small_program();
  request.workers = request.acquisitions = 0;
  request.scenarios = "controlled/drawn";
  request.delays = 1;
  const Result bounded = only_result(spec_of<TicketLock>("ticket"), request);
  EXPECT_EQ(bounded.verdict, Verdict::kSkipped);
  EXPECT_NE(bounded.reason.find("strategies that draw"), std::string::npos) << bounded.reason;
}

/// Sleeps where only threads of the same process can wake it.
template <class P>
struct PrivateMutex {
  typename P::template atomic<std::uint32_t> word{0};
  void lock() {
    while (word.exchange(2, std::memory_order_acquire) != 0) P::futex_wait_private(word, 2);
  }
  void unlock() {
    word.store(0, std::memory_order_release);
    P::futex_wake_private(word, 1);
  }
};

TEST(NamedSearch, WorkersLiveWhereTheLockIsFor) {
  LockSpec lock = spec_of<PrivateMutex>("private_mutex");
  for (const bool process_shared : {false, true}) {
    lock.claims.process_shared = process_shared;
    Request request = small_program();
    request.strategy = "exhaustive";
    const Result result = only_result(lock, request);
    EXPECT_EQ(result.verdict, process_shared ? Verdict::kFail : Verdict::kPass) << result.reason;
  }
}

/// Whoever creates the file has the lock.
template <class P>
class CreatedFile {
 public:
  static constexpr char kind[] = "file";
  explicit CreatedFile(const char* path) : path_(path) {}
  void lock() {
    for (;;) {
      const int file = ::open(path_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
      if (file >= 0) {
        ::close(file);
        return;
      }
      P::yield();
    }
  }
  void unlock() { ::unlink(path_.c_str()); }

 private:
  std::string path_;
};

TEST(NamedSearch, FilesAreTheSameUnderEveryMemoryModel) {
  for (const char* memory : {"sc", "tso", "c11"}) {
    Request request = small_program();
    request.memory = memory;
    request.preemptions = 1;
    const Result healthy = only_result(path_spec_of<CreatedFile>("created_file"), request);
    EXPECT_EQ(healthy.verdict, Verdict::kPass) << memory << ": " << healthy.reason;
    EXPECT_GT(healthy.executions, 1u) << memory;
  }
}

}  // namespace
}  // namespace hobbs
