// Every adapter does what its claims say, by real workers: exclusion by each verb, between
// processes where claimed and else between threads; refusals, timeouts, deaths.
#include "locks/adapters/adapters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include "locks/reference/testing.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;
using testing::Shared;
using testing::Witness;

/// A fresh lock: one object in shared memory, or a fresh path.
class Subject {
 public:
  explicit Subject(const LockSpec& spec) : spec_(spec) {
    if (spec.home == Home::kMemory) memory_ = std::make_unique<testing::LockMemory>(spec.real);
    std::string name = ::testing::TempDir() + "/adapter-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/lock";
  }
  ~Subject() { std::filesystem::remove_all(directory_); }

  /// One worker's own way to it.
  class View {
   public:
    explicit View(const Subject& subject) : subject_(subject) {
      if (subject.memory_ == nullptr) {
        own_ = std::make_unique<testing::LockMemory>(subject.spec_.real, subject.path_.c_str());
      }
    }
    void* get() const { return own_ != nullptr ? own_->get() : subject_.memory_->get(); }

   private:
    const Subject& subject_;
    std::unique_ptr<testing::LockMemory> own_;
  };

 private:
  const LockSpec& spec_;
  std::string directory_, path_;
  std::unique_ptr<testing::LockMemory> memory_;
};

class Adapter : public ::testing::TestWithParam<LockSpec> {
 protected:
  void SetUp() override {
    RealPlatform::registry();
    RealPlatform::attach(1);
  }
  const LockSpec& spec() const { return GetParam(); }
  const LockOps& ops() const { return GetParam().real; }
  const Claims& claims() const { return GetParam().claims; }

  using Body = std::function<int(std::uint32_t id, void* lock)>;

  /// Runs `body` as worker `id`, another than 1: in a forked process if the lock works between
  /// processes, else in a thread. Its result.
  int as_other(std::uint32_t id, const Subject& subject, const Body& body) {
    if (claims().process_shared) {
      return testing::wait_for(testing::fork_worker(id, [&] {
        Subject::View view(subject);
        return body(id, view.get());
      }));
    }
    int result = -1;
    std::thread([&] {
      RealPlatform::attach(id);
      Subject::View view(subject);
      result = body(id, view.get());
    }).join();
    return result;
  }

  /// Runs `body` in `count` workers at once; the number of those that did not return 0.
  int in_all(std::uint32_t count, const Subject& subject, const Body& body) {
    if (claims().process_shared) {
      return testing::run_workers(count, [&](std::uint32_t id) {
        Subject::View view(subject);
        return body(id, view.get());
      });
    }
    std::atomic<int> bad{0};
    std::vector<std::thread> threads;
    for (std::uint32_t id = 1; id <= count; ++id) {
      threads.emplace_back([&, id] {
        RealPlatform::attach(id);
        Subject::View view(subject);
        bad += body(id, view.get()) != 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    return bad;
  }
};

TEST_P(Adapter, SaysWhatItIs) {
  EXPECT_TRUE(spec().peer);
  EXPECT_FALSE(spec().summary.empty() || spec().source.empty());
  EXPECT_NE(spec().claims.process_shared, !spec().unusable_between_processes.empty());
  EXPECT_LE(ops().size, 4096u);
}

TEST_P(Adapter, AHeldLockRefusesTriesUntilItIsReleased) {
  if (ops().try_acquire == nullptr) GTEST_SKIP() << "no try";
  const Subject subject(spec());
  const Subject::View mine(subject);
  const auto attempt = [this](std::uint32_t, void* lock) {
    const Outcome outcome = ops().try_acquire(lock);
    if (holds(outcome)) ops().release(lock);
    return static_cast<int>(outcome);
  };
  for (std::uint32_t i = 0; i < claims().permits; ++i) {
    EXPECT_EQ(as_other(2, subject, attempt), static_cast<int>(Outcome::kAcquired));
    ASSERT_EQ(ops().acquire(mine.get()), Outcome::kAcquired);
  }
  EXPECT_EQ(as_other(2, subject, attempt), static_cast<int>(Outcome::kBusy));
  EXPECT_EQ(ops().release(mine.get()), Outcome::kReleased);
  EXPECT_EQ(as_other(2, subject, attempt), static_cast<int>(Outcome::kAcquired));
}

TEST_P(Adapter, SharersMeetAndKeepWritersOut) {
  if (ops().try_acquire_shared == nullptr) GTEST_SKIP() << "no shared try";
  const Subject subject(spec());
  const Subject::View mine(subject);
  const auto attempt = [this](std::uint32_t, void* lock) {
    const Outcome shared = ops().try_acquire_shared(lock);
    if (holds(shared)) ops().release_shared(lock);
    const Outcome exclusive = ops().try_acquire(lock);
    if (holds(exclusive)) ops().release(lock);
    return holds(shared) * 2 + holds(exclusive);
  };
  EXPECT_EQ(as_other(2, subject, attempt), 3);
  ASSERT_EQ(ops().acquire_shared(mine.get()), Outcome::kAcquired);
  EXPECT_EQ(as_other(2, subject, attempt), 2);
  if (ops().try_upgrade != nullptr) {
    EXPECT_EQ(ops().try_upgrade(mine.get()), Outcome::kAcquired);
    EXPECT_EQ(as_other(2, subject, attempt), 0);
    ASSERT_EQ(ops().downgrade(mine.get()), Outcome::kReleased);
    EXPECT_EQ(as_other(2, subject, attempt), 2);
  }
  ASSERT_EQ(ops().release_shared(mine.get()), Outcome::kReleased);
  ASSERT_EQ(ops().acquire(mine.get()), Outcome::kAcquired);
  EXPECT_EQ(as_other(2, subject, attempt), 0);
  if (ops().downgrade != nullptr) {
    ASSERT_EQ(ops().downgrade(mine.get()), Outcome::kReleased);
    EXPECT_EQ(as_other(2, subject, attempt), 2);
    ASSERT_EQ(ops().release_shared(mine.get()), Outcome::kReleased);
  } else {
    ASSERT_EQ(ops().release(mine.get()), Outcome::kReleased);
  }
  EXPECT_EQ(as_other(2, subject, attempt), 3);
}

TEST_P(Adapter, TimeoutsAreNeverEarly) {
  if (ops().acquire_until == nullptr) GTEST_SKIP() << "not timed";
  const Subject subject(spec());
  const Subject::View mine(subject);
  for (std::uint32_t i = 0; i < claims().permits; ++i) {
    ASSERT_EQ(ops().acquire_until(mine.get(), testing::in_ns(1s)), Outcome::kAcquired);
  }
  const auto wait = [this](auto* timed, void* lock, std::chrono::milliseconds patience) {
    const std::int64_t deadline_ns = testing::in_ns(patience);
    return timed(lock, deadline_ns) == Outcome::kTimedOut && testing::in_ns(0ns) >= deadline_ns;
  };
  EXPECT_EQ(as_other(2, subject,
                     [&](std::uint32_t, void* lock) {
                       bool right = wait(ops().acquire_until, lock, 20ms) &&
                                    wait(ops().acquire_until, lock, -1s);
                       if (ops().acquire_shared_until != nullptr)
                         right &= wait(ops().acquire_shared_until, lock, 5ms);
                       return right ? 0 : 1;
                     }),
            0);
  for (std::uint32_t i = 0; i < claims().permits; ++i) {
    EXPECT_EQ(ops().release(mine.get()), Outcome::kReleased);
  }
}

/// For a while, every acquiring verb that there is, in both modes.
int work(const LockOps& ops, void* lock, Witness& witness, std::atomic<std::uint64_t>& sections) {
  using Acquire = std::function<Outcome()>;
  const auto timed = [lock](auto* call) {
    return Acquire([=] { return call(lock, testing::in_ns(50us)); });
  };
  const auto plain = [lock](auto* call) { return Acquire([=] { return call(lock); }); };
  std::vector<std::pair<Mode, Acquire>> verbs{{Mode::kExclusive, plain(ops.acquire)}};
  if (ops.try_acquire) verbs.emplace_back(Mode::kExclusive, plain(ops.try_acquire));
  if (ops.acquire_until) verbs.emplace_back(Mode::kExclusive, timed(ops.acquire_until));
  if (ops.acquire_shared) verbs.emplace_back(Mode::kShared, plain(ops.acquire_shared));
  if (ops.try_acquire_shared) verbs.emplace_back(Mode::kShared, plain(ops.try_acquire_shared));
  if (ops.acquire_shared_until) {
    verbs.emplace_back(Mode::kShared, timed(ops.acquire_shared_until));
  }
  std::uint64_t exclusive = 0;
  for (const auto end = RealPlatform::now() + 20ms; RealPlatform::now() < end;) {
    for (const auto& [mode, acquire] : verbs) {
      if (!holds(acquire())) continue;
      witness.enter(mode);
      for (int n = 0; n < 50; ++n) __asm__ volatile("");
      witness.leave(mode);
      const bool shared = mode == Mode::kShared;
      if ((shared ? ops.release_shared : ops.release)(lock) != Outcome::kReleased) return 1;
      exclusive += !shared;
    }
  }
  sections += exclusive;
  return 0;
}

TEST_P(Adapter, ExcludesByEveryVerb) {
  if (claims().permits > 1) GTEST_SKIP() << "admits several";
  const Subject subject(spec());
  Shared<Witness> witness;
  Shared<std::atomic<std::uint64_t>> sections;
  EXPECT_EQ(
      in_all(3, subject,
             [&](std::uint32_t, void* lock) { return work(ops(), lock, *witness, *sections); }),
      0);
  EXPECT_EQ(witness->violations(), 0u);
  EXPECT_EQ(witness->sum(), sections->load());
  EXPECT_GT(sections->load(), 20u);
}

TEST_P(Adapter, ADeadHoldersLockIsAsClaimed) {
  if (!claims().process_shared || ops().try_acquire == nullptr) GTEST_SKIP() << "cannot die here";
  const Subject subject(spec());
  const Subject::View mine(subject);
  for (std::uint32_t i = 0; i < claims().permits; ++i) {
    EXPECT_EQ(as_other(2, subject,
                       [&](std::uint32_t, void* lock) {
                         if (!holds(ops().acquire(lock))) return 1;
                         ::raise(SIGKILL);
                         return 0;
                       }),
              -1);
  }
  switch (claims().crash) {
    case CrashBehaviour::kStuck: EXPECT_EQ(ops().try_acquire(mine.get()), Outcome::kBusy); return;
    case CrashBehaviour::kOwnerDied:
      EXPECT_EQ(ops().acquire(mine.get()), Outcome::kOwnerDied);
      break;
    default: EXPECT_EQ(ops().acquire(mine.get()), Outcome::kAcquired);
  }
  EXPECT_EQ(ops().release(mine.get()), Outcome::kReleased);
  EXPECT_EQ(ops().acquire(mine.get()), Outcome::kAcquired) << "told once, and consistent since";
  EXPECT_EQ(ops().release(mine.get()), Outcome::kReleased);
}

TEST_P(Adapter, RefusesMisuseIfItSaysSo) {
  if (!claims().checks_misuse || claims().semaphore) GTEST_SKIP() << "undefined there";
  const Subject subject(spec());
  const Subject::View mine(subject);
  EXPECT_NE(ops().release(mine.get()), Outcome::kReleased);
  ASSERT_EQ(ops().acquire(mine.get()), Outcome::kAcquired);
  if (claims().releaser != Releaser::kAnyone) {
    EXPECT_EQ(as_other(2, subject,
                       [this](std::uint32_t, void* lock) {
                         return ops().release(lock) == Outcome::kReleased ? 1 : 0;
                       }),
              0);
  }
  EXPECT_EQ(ops().release(mine.get()), Outcome::kReleased);
}

TEST(AdapterCatalog, NamesAreUnique) {
  std::set<std::string> names;
  for (const LockSpec& spec : adapter_catalog()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Catalog, Adapter, ::testing::ValuesIn(adapter_catalog()),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace hobbs
