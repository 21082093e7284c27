// HX-1 and HX-2 for explore: the broken locks of the gallery are caught by the rule they break,
// with a finding that replays; the reference locks are accused of nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "harness/explore/explore_driver.h"
#include "locks/mutants/gallery.h"
#include "locks/mutants/split_test_and_set.h"
#include "locks/reference/mcs_lock.h"
#include "locks/reference/peterson_lock.h"
#include "locks/reference/robust_mutex.h"
#include "locks/spec_of.h"
#include "reports/replay_case.h"
#include "scenarios/program.h"

// What read() becomes where the compiler does not know how large its buffer is.
extern "C" ssize_t __read_chk(int descriptor, void* to, size_t bytes, size_t room);

namespace hobbs {
namespace {

using std::chrono::steady_clock;

Request request(std::chrono::milliseconds budget) {
  Request request;
  request.until = steady_clock::now() + budget;
  return request;
}

const Result* finding_of(const std::vector<Result>& results) {
  const auto found = std::ranges::find(results, Verdict::kFail, &Result::verdict);
  return found == results.end() ? nullptr : &*found;
}

std::string name_of(const auto& info) { return info.param.name; }

class Gallery : public testing::TestWithParam<mutants::Mutant> {};

TEST_P(Gallery, IsCaughtByItsRuleAndReplays) {
  ExploreDriver driver;
  const LockSpec& lock = GetParam().lock;
  // Each takes milliseconds; the budget is for a loaded machine.
  const std::vector<Result> results = driver.run(lock, request(std::chrono::seconds(30)));
  const Result* const found = finding_of(results);
  ASSERT_NE(found, nullptr) << lock.name << " was not caught";
  EXPECT_TRUE(std::ranges::count(GetParam().rules, found->rule) == 1)
      << lock.name << " was accused by " << found->rule << ": " << found->finding->summary;
  EXPECT_EQ(found->finding->failed, found->finding->of);
  EXPECT_FALSE(found->finding->history.empty() && !found->finding->schedule.empty());

  const ReplayOutcome again =
      driver.replay(lock, found->finding->replay_json, request(std::chrono::seconds(30)));
  EXPECT_EQ(again.error, "");
  EXPECT_GT(again.of, 0u);
  EXPECT_EQ(again.failed, again.of);
  EXPECT_EQ(again.result.rule, found->rule);
}

INSTANTIATE_TEST_SUITE_P(Explore, Gallery, testing::ValuesIn(mutants::gallery()),
                         [](const auto& info) { return info.param.lock.name; });

/// Healthy locks on a path: the controls of the broken ones.
template <class P>
class LockFile {
 public:
  static constexpr char kind[] = "file";
  explicit LockFile(const char* path) : path_(path) {}
  void lock() {
    while (!try_lock()) P::yield();
  }
  bool try_lock() {
    const int file = ::open(path_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) return false;
    ::close(file);
    return true;
  }
  void unlock() { ::unlink(path_.c_str()); }

 private:
  std::string path_;
};

template <class P, bool kRemoves>
class WholeFileLock {
 public:
  static constexpr char kind[] = "file";
  explicit WholeFileLock(const char* path) : path_(path) {}
  ~WholeFileLock() {
    if (file_ >= 0) ::close(file_);
  }
  void lock() {
    while (!take(LOCK_EX)) {
    }
  }
  bool try_lock() { return take(LOCK_EX | LOCK_NB); }
  void unlock() {
    if constexpr (kRemoves) ::unlink(path_.c_str());
    ::flock(file_, LOCK_UN);
    ::close(file_);
    file_ = -1;
  }

 private:
  /// Whoever removes the file when done must check that the path names what it has locked.
  bool take(int how) {
    file_ = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    int got;
    while ((got = ::flock(file_, how)) != 0 && errno == EINTR) {
    }
    struct stat locked {
    }, named{};
    if (got == 0 && ::fstat(file_, &locked) == 0 && ::stat(path_.c_str(), &named) == 0 &&
        locked.st_ino == named.st_ino) {
      return true;
    }
    ::close(file_);
    file_ = -1;
    return false;
  }

  std::string path_;
  int file_ = -1;
};
template <class P>
using KeptFile = WholeFileLock<P, false>;
template <class P>
using RemovedFile = WholeFileLock<P, true>;

/// Reads back what it has written, as a fortified program does, or admits everybody.
template <class P>
class FortifiedFile {
 public:
  static constexpr char kind[] = "file";
  explicit FortifiedFile(const char* path)
      : file_(::open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {}
  ~FortifiedFile() { ::close(file_); }
  void lock() {
    char byte = 'x';
    const bool seen = ::pwrite(file_, &byte, 1, 0) == 1 && ::lseek(file_, 0, SEEK_SET) == 0 &&
                      __read_chk(file_, &byte, 1, 1) == 1;
    while (seen && ::flock(file_, LOCK_EX) != 0) {
    }
  }
  void unlock() { ::flock(file_, LOCK_UN); }

 private:
  int file_;
};

/// Keeps its state where the explorer cannot see it.
template <class P>
class StreamFile : public LockFile<P> {
 public:
  explicit StreamFile(const char* path) : LockFile<P>(path), log_(std::fopen(path, "a")) {}
  ~StreamFile() {
    if (log_ != nullptr) std::fclose(log_);
  }

 private:
  std::FILE* log_;
};

/// First come, first served, from a queue whose guard serves whoever comes.
template <class P>
class GuardedQueue {
 public:
  static constexpr Claims claims{.fairness = Fairness::kFifo};
  void lock() {
    enter();
    const bool free = !held_;
    held_ = true;
    if (!free) {
      granted_[P::self()].store(0);
      queue_[waiting_++] = P::self();
    }
    leave();
    if (free) return;
    while (granted_[P::self()].load() == 0) P::futex_wait(granted_[P::self()], 0);
  }
  void unlock() {
    enter();
    held_ = waiting_ != 0;
    const std::uint32_t next = queue_[0];
    if (held_) {
      std::copy(queue_ + 1, queue_ + waiting_--, queue_);
      granted_[next].store(1);
    }
    const bool wakes = held_;
    leave();
    if (wakes) P::futex_wake(granted_[next], 1);
  }

 private:
  void enter() {
    while (guard_.exchange(2) != 0) P::futex_wait(guard_, 2);
  }
  void leave() {
    guard_.store(0);
    P::futex_wake(guard_, 1);
  }
  typename P::template atomic<std::uint32_t> guard_{};
  typename P::template atomic<std::uint32_t> granted_[65]{};
  std::uint32_t queue_[64]{};
  std::uint32_t waiting_ = 0;
  bool held_ = false;
};

std::vector<LockSpec> healthy() {
  std::vector<LockSpec> list = reference_catalog();
  Claims may_fail = path_spec_of<RemovedFile>("removed").claims;
  may_fail.spurious_try_failure = true;  // Against a holder that is just removing the file.
  list.push_back(spec_of<GuardedQueue>("guarded_queue"));
  list.push_back(path_spec_of<LockFile>("lock_file"));
  list.push_back(path_spec_of<KeptFile>("kept_file"));
  list.push_back(path_spec_of<FortifiedFile>("fortified_file"));
  list.push_back(path_spec_of<RemovedFile>("removed_file", may_fail));
  return list;
}

class Reference : public testing::TestWithParam<LockSpec> {};

TEST_P(Reference, IsAccusedOfNothing) {
  ExploreDriver driver;
  if (const std::string why = driver.unfit(GetParam()); !why.empty()) return;
  const std::vector<Result> results =
      driver.run(GetParam(), request(std::chrono::milliseconds(1200)));
  ASSERT_FALSE(results.empty());
  std::uint64_t executions = 0;
  for (const Result& result : results) {
    executions += result.executions;
    EXPECT_NE(result.verdict, Verdict::kFail)
        << result.scenario << ", " << result.rule << ": "
        << (result.finding ? result.finding->summary + ", " + result.finding->program : "");
  }
  EXPECT_GT(executions, 0u);
}

/// Grants itself a little longer, which no clock can say of the greatest deadline (TO-9).
template <class P>
class WrappingDeadline {
 public:
  void lock() { take(std::nullopt); }
  bool try_lock_until(typename P::time_point deadline) {
    const auto since = deadline.time_since_epoch().count();
    const auto later = static_cast<std::uint64_t>(since) + 1000;  // BUG: wraps.
    return take(typename P::time_point(std::chrono::nanoseconds(static_cast<std::int64_t>(later))));
  }
  void unlock() {
    word_.store(0);
    P::futex_wake(word_, 1);
  }

 private:
  bool take(std::optional<typename P::time_point> deadline) {
    while (word_.exchange(1) != 0) {
      if (P::futex_wait(word_, 1, deadline) == P::wait_result::timed_out) return false;
    }
    return true;
  }
  typename P::template atomic<std::uint32_t> word_{0};
};

TEST(Deadlines, TheGreatestIsNoneThatHasPassed) {
  const std::vector<Result> results = ExploreDriver().run(
      spec_of<WrappingDeadline>("wrapping_deadline"), request(std::chrono::seconds(30)));
  const Result* const found = finding_of(results);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->rule, "TO-9") << found->finding->summary;
  EXPECT_EQ(found->finding->failed, found->finding->of);
}

TEST(Enumerated, SmallProgramsFindWhatTheyHold) {
  const auto gallery = mutants::gallery();
  const auto mutant = std::ranges::find_if(
      gallery, [](const auto& one) { return one.lock.name == "split_test_and_set"; });
  ASSERT_TRUE(mutant != gallery.end());
  Request asked = request(std::chrono::seconds(30));
  asked.scenarios = "controlled/enumerated";
  const std::vector<Result> results = ExploreDriver().run(mutant->lock, asked);
  const Result* const found = finding_of(results);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->scenario, "controlled/enumerated");
  EXPECT_EQ(found->finding->failed, found->finding->of);
}

TEST(Refusal, IsOfWhatCannotBeRunAsNamed) {
  const auto reason = [](const LockSpec& lock, auto change) {
    Request asked = request(std::chrono::seconds(20));
    change(asked);
    const std::vector<Result> results = ExploreDriver().run(lock, asked);
    return results.size() == 1 && results[0].verdict == Verdict::kSkipped ? results[0].reason : "";
  };
  EXPECT_EQ(reason(spec_of<McsLock>("mcs"), [](Request& r) { r.workers = 9; }),
            "cannot be run: explore runs 1 to 8 workers");
  EXPECT_EQ(reason(spec_of<PetersonLock>("peterson"), [](Request& r) { r.workers = 3; }),
            "cannot be run: the lock is made for fewer workers");
  EXPECT_EQ(reason(spec_of<McsLock>("mcs"), [](Request& r) { r.kills = 1; }),
            "cannot be run: the lock promises nothing for the case that a worker dies");
  EXPECT_EQ(
      reason(spec_of<RobustMutex>("robust_mutex"), [](Request& r) { r.workers = 2, r.kills = 3; }),
      "cannot be run: more deaths than workers");
}

/// Right in a process of its own, which has one holder at most.
template <class P>
class StaticFile {
 public:
  static constexpr char kind[] = "file";
  explicit StaticFile(const char* path) : path_(path) {}
  void lock() {
    file = ::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    ::flock(file, LOCK_EX);
  }
  void unlock() { ::close(file); }

 private:
  static inline int file = -1;
  std::string path_;
};

TEST(Refusal, NamesStaticVariables) {
  const std::vector<Result> results = ExploreDriver().run(path_spec_of<StaticFile>("static_file"),
                                                          request(std::chrono::seconds(20)));
  ASSERT_FALSE(results.empty());
  for (const Result& result : results) {
    EXPECT_EQ(result.verdict, Verdict::kSkipped) << result.scenario;
    EXPECT_NE(result.reason.find("static variables"), std::string::npos) << result.reason;
  }
}

TEST(Replays, ThatCannotBeFollowedOrBreakAnotherRuleAreNoPasses) {
  ReplayCase written;
  written.lock = "split";
  written.driver = "explore";
  written.scenario = "controlled/exclusion";
  written.rule = "ME-1";
  written.program = parse_program("lock work unlock | lock work unlock").program;
  written.options["memory"] = "sc";
  const auto told = [&](const LockSpec& lock, const char* rule, const char* schedule) {
    written.rule = rule;
    written.schedule = schedule;
    const ReplayOutcome outcome =
        ExploreDriver().replay(lock, to_json(written), request(std::chrono::seconds(30)));
    EXPECT_EQ(outcome.error, "");
    return outcome.result;
  };
  const LockSpec split = spec_of<mutants::SplitTestAndSet>("split");
  EXPECT_EQ(told(split, "ME-1", "").verdict, Verdict::kPass);  // One after the other.
  const Result nobody = told(split, "ME-1", "8 8 8");
  EXPECT_EQ(nobody.verdict, Verdict::kInconclusive);
  EXPECT_NE(nobody.reason.find("cannot be followed"), std::string::npos) << nobody.reason;
  const char* const both_in = "1 2x2 1";
  EXPECT_EQ(told(split, "ME-1", both_in).verdict, Verdict::kFail);
  const Result other = told(split, "LV-1", both_in);
  EXPECT_EQ(other.verdict, Verdict::kInconclusive);
  EXPECT_NE(other.reason.find("breaks ME-1 instead"), std::string::npos) << other.reason;
}

/// Whose waiter, if the lock is released right behind its look, goes by an index that may be wrong.
template <class P, std::size_t kIndex>
struct Astray {
  typename P::template atomic<std::uint32_t> word{0};
  typename P::template atomic<std::uint32_t> seats[4]{};
  void lock() {
    while (word.exchange(1, std::memory_order_acquire) != 0) {
      typename P::template atomic<std::uint32_t>* row = seats;
      asm("" : "+r"(row));  // The compiler is not to know that there are but four.
      if (word.load(std::memory_order_relaxed) == 0) {
        row[kIndex].store(1, std::memory_order_relaxed);
      }
      P::pause();
    }
  }
  void unlock() { word.store(0, std::memory_order_release); }
};
template <class P>
using StaysWithin = Astray<P, 3>;
template <class P>
using StraysBehind = Astray<P, 4>;
template <class P>
using StraysToTheNext = Astray<P, 17>;
template <class P>
using StraysFar = Astray<P, 70'000>;

/// Its word is no part of it, but somebody's: no bug, and nothing that can be modelled.
template <class P>
struct Elsewhere {
  std::uint32_t unused = 0;
  static typename P::template atomic<std::uint32_t>& word() {
    static typename P::template atomic<std::uint32_t> word{0};
    return word;
  }
  void lock() {
    while (word().exchange(1, std::memory_order_acquire) != 0) P::pause();
  }
  void unlock() { word().store(0, std::memory_order_release); }
};

TEST(WildWords, AreToldFromThoseThatAreSomewhere) {
  const auto first = [](const LockSpec& lock) {
    Request asked = request(std::chrono::seconds(2));
    asked.scenarios = "controlled/exclusion";
    const std::vector<Result> results = ExploreDriver().run(lock, asked);
    EXPECT_EQ(results.size(), 1u) << lock.name;
    return results.empty() ? Result{} : results.front();
  };
  for (const LockSpec& strays : {spec_of<StraysBehind>("behind"), spec_of<StraysToTheNext>("next"),
                                 spec_of<StraysFar>("far")}) {
    const Result told = first(strays);
    EXPECT_EQ(told.verdict, Verdict::kFail) << strays.name << told.reason;
    EXPECT_EQ(told.rule, "LV-2") << strays.name;
  }
  EXPECT_EQ(first(spec_of<StaysWithin>("stays_within")).verdict, Verdict::kPass);
  const Result elsewhere = first(spec_of<Elsewhere>("elsewhere"));
  EXPECT_EQ(elsewhere.verdict, Verdict::kSkipped) << elsewhere.reason;
  EXPECT_NE(elsewhere.reason.find("outside its own memory"), std::string::npos);
}

/// With so many words that there is room for those of one lock only.
template <class P>
struct LongRow {
  static constexpr std::uint32_t kSeats = 65;
  typename P::template atomic<std::uint32_t> word{0};
  typename P::template atomic<std::uint32_t> seats[kSeats]{};
  void lock() {
    while (word.exchange(1, std::memory_order_acquire) != 0) P::pause();
    for (auto& seat : seats) seat.store(1, std::memory_order_relaxed);
  }
  void unlock() { word.store(0, std::memory_order_release); }
};

TEST(Refusal, OfProgramsWithSeveralLocksIsNoneOfTheOthers) {
  const auto only = [](const char* scenario, std::chrono::seconds budget) {
    Request asked = request(budget);
    asked.scenarios = scenario;
    const std::vector<Result> results = ExploreDriver().run(spec_of<LongRow>("long_row"), asked);
    EXPECT_EQ(results.size(), 1u) << scenario;
    return results.empty() ? Result{} : results.front();
  };
  const Result of_one = only("controlled/exclusion", std::chrono::seconds(2));
  EXPECT_EQ(of_one.verdict, Verdict::kPass) << of_one.reason;
  // By chance, some of one lock and some of two.
  const Result drawn = only("controlled/drawn", std::chrono::seconds(6));
  EXPECT_NE(drawn.verdict, Verdict::kFail) << drawn.reason;
  EXPECT_NE(drawn.reason.find("several locks"), std::string::npos) << drawn.reason;
}

TEST(Refusal, NamesTheFileCallThatIsNotModelled) {
  const std::vector<Result> results = ExploreDriver().run(path_spec_of<StreamFile>("stream_file"),
                                                          request(std::chrono::milliseconds(500)));
  ASSERT_FALSE(results.empty());
  for (const Result& result : results) {
    EXPECT_EQ(result.verdict, Verdict::kSkipped) << result.scenario;
    EXPECT_NE(result.reason.find("fopen()"), std::string::npos) << result.reason;
  }
}

INSTANTIATE_TEST_SUITE_P(Explore, Reference, testing::ValuesIn(healthy()),
                         name_of<testing::TestParamInfo<LockSpec>>);

}  // namespace
}  // namespace hobbs
