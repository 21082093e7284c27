// The file locks of fasteners: back-off, the kernel's lock as processes see it, wrappers, logs.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <limits>

#include "locks/reference/testing.h"
#include "locks/seeds/inter_process_lock.h"
#include "locks/seeds/inter_process_locked.h"
#include "locks/seeds/inter_process_reader_writer_lock.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;
using Lock = InterProcessLock<RealPlatform>;
using ReaderWriterLock = InterProcessReaderWriterLock<RealPlatform>;
using testing::fork_worker;
using testing::refusal;
using testing::wait_for;

constexpr BackOff kTry{.blocking = false};

/// A path in a folder of its own, gone at the end.
class FileLocks : public ::testing::Test {
 protected:
  FileLocks() {
    const char* parent = std::getenv("TEST_TMPDIR");
    folder_ = std::string(parent != nullptr ? parent : "/tmp") + "/hobbs-XXXXXX";
    if (::mkdtemp(folder_.data()) == nullptr) std::abort();
    path_ = folder_ + "/lock";
  }
  ~FileLocks() override { std::filesystem::remove_all(folder_); }

  /// What another process, with an object of its own, answers: 1 for true.
  template <class L, class Ask>
  int elsewhere(Ask&& ask) {
    return wait_for(fork_worker(2, [&] {
      L lock(path_);
      return ask(lock) ? 1 : 0;
    }));
  }
  int taken_elsewhere() {
    return 1 - elsewhere<Lock>([](Lock& lock) { return lock.acquire(kTry); });
  }

  std::string folder_, path_;
};

TEST(BackOff, GrowsLinearlyUpToTheMostAndToWhatIsLeft) {
  const BackOff usual = checked({});
  EXPECT_DOUBLE_EQ(pause_after(usual, 1, Seconds(0)).count(), 0.01);
  EXPECT_DOUBLE_EQ(pause_after(usual, 3, Seconds(0)).count(), 0.03);
  EXPECT_DOUBLE_EQ(pause_after(usual, 11, Seconds(0)).count(), 0.1);
  const BackOff timed = checked({.timeout = Seconds(1)});
  EXPECT_DOUBLE_EQ(pause_after(timed, 50, Seconds(0.75)).count(), 0.1);
  EXPECT_DOUBLE_EQ(pause_after(timed, 50, Seconds(0.9375)).count(), 0.0625);
  EXPECT_DOUBLE_EQ(pause_after(timed, 50, Seconds(2)).count(), 0);
  EXPECT_DOUBLE_EQ(checked({.delay = Seconds(0.5)}).max_delay.count(), 0.5);
  EXPECT_DOUBLE_EQ(checked({.max_delay = Seconds(-1)}).max_delay.count(), 0.01);
}

TEST(BackOff, RefusesWhatIsNegativeOrNoNumber) {
  const Seconds nan(std::numeric_limits<double>::quiet_NaN());
  for (const BackOff& bad :
       {BackOff{.delay = Seconds(-0.01)}, BackOff{.timeout = Seconds(-1)},
        BackOff{.blocking = false, .timeout = Seconds(-1)}, BackOff{.delay = nan},
        BackOff{.max_delay = nan}, BackOff{.timeout = nan}}) {
    EXPECT_EQ(refusal([&] { checked(bad); }), LockErrorKind::kBadArgument);
  }
}

TEST_F(FileLocks, OneAttemptFollowsTheDeadline) {
  const pid_t holder = fork_worker(2, [&] {
    Lock lock(path_);
    lock.acquire();
    ::pause();
    return 0;
  });
  while (taken_elsewhere() == 0) RealPlatform::yield();
  std::vector<double> sleeps;
  Lock lock(path_, [&](Seconds duration) {
    sleeps.push_back(duration.count());
    sleep_through_signals(duration);
  });
  const auto start = RealPlatform::now();
  EXPECT_FALSE(lock.acquire({.delay = Seconds(0.02), .timeout = Seconds(0.05)}));
  EXPECT_GT(RealPlatform::now() - start, 50ms);
  ASSERT_GE(sleeps.size(), 2u);
  EXPECT_DOUBLE_EQ(sleeps[0], 0.02);
  EXPECT_LE(sleeps[1], 0.03);
  const std::size_t before = sleeps.size();
  EXPECT_FALSE(lock.acquire(kTry));
  EXPECT_FALSE(lock.try_lock());
  EXPECT_EQ(sleeps.size(), before) << "a try does not sleep";
  EXPECT_FALSE(lock.acquired());
  EXPECT_EQ(refusal([&] { lock.release(); }), LockErrorKind::kNotLocked);
  ::kill(holder, SIGKILL);
  EXPECT_TRUE(lock.acquire()) << "the kernel frees a dead holder's lock";
  EXPECT_EQ(wait_for(holder), -1);
}

TEST_F(FileLocks, AForkedChildHoldsNothingAndReleasesNothing) {
  Lock lock(path_);
  ASSERT_TRUE(lock.acquire());
  const auto child = [&] {
    if (lock.acquired() || lock.acquire(kTry)) return 1;
    return refusal([&] { lock.release(); }) == LockErrorKind::kNotLocked ? 0 : 2;
  };
  EXPECT_EQ(wait_for(fork_worker(2, child)), 0);
  EXPECT_EQ(wait_for(testing::clone_worker(child)), 0);
  EXPECT_EQ(taken_elsewhere(), 1);
  lock.release();
  EXPECT_EQ(taken_elsewhere(), 0);
}

TEST_F(FileLocks, FoldersAreMadeTheFileStaysAndItsContentToo) {
  path_ = folder_ + "/a//b/lock";
  std::vector<std::pair<int, std::string>> lines;
  Lock lock(path_, {},
            [&](int level, const std::string& line) { lines.emplace_back(level, line); });
  EXPECT_FALSE(lock.exists());
  lock.lock();
  ASSERT_EQ(::truncate(path_.c_str(), 3), 0);
  lock.unlock();
  EXPECT_EQ(std::filesystem::file_size(path_), 3u);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].second, "Created lock base path `" + folder_ + "/a//b`");
  EXPECT_EQ(lines[1].second.substr(0, 20), "Acquired file lock `");
  EXPECT_EQ(lines[2].second, "Unlocked and closed file lock open on `" + path_ + "`");
  for (const auto& line : lines) EXPECT_EQ(line.first, kTraceLevel);
}

TEST_F(FileLocks, WhatTheSystemRefusesToUnlockIsHeldOnAndLogged) {
  std::vector<std::pair<int, std::string>> lines;
  Lock lock(path_, {},
            [&](int level, const std::string& line) { lines.emplace_back(level, line); });
  lock.lock();
  lock.with_file([](LockFile& file) { file.close(); });
  EXPECT_EQ(refusal([&] { lock.release(); }), LockErrorKind::kNotOpen);
  EXPECT_TRUE(lock.acquired());
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1].first, kErrorLevel);
  EXPECT_EQ(lines[1].second, "Could not unlock the acquired lock opened on `" + path_ + "`");
}

TEST(BackOff, SleepsLongerThanAClockCanSay) {
  const auto sleeper = [] {
    ::ualarm(50'000, 0);  // Ends the process if it is still asleep.
    sleep_through_signals(Seconds(1e300));
    return 0;
  };
  EXPECT_EQ(wait_for(fork_worker(2, sleeper)), -1);
}

TEST_F(FileLocks, PathsThatCannotBeOpenedSayWhy) {
  const auto error_of = [](const std::string& path) {
    try {
      Lock(path).acquire();
      return 0;
    } catch (const LockError& error) {
      return error.kind() == LockErrorKind::kOperatingSystem ? error.code().value() : -1;
    }
  };
  EXPECT_EQ(error_of(folder_), EISDIR);
  EXPECT_EQ(error_of(""), ENOENT);
  Lock(path_).acquire();
  EXPECT_EQ(error_of(path_ + "/x"), EEXIST);
  EXPECT_EQ(error_of(path_ + "/x/y"), ENOTDIR);
  EXPECT_EQ(error_of(path_ + std::string("\0x", 2)), -1);
}

TEST_F(FileLocks, ExcludeForkedProcesses) {
  testing::Shared<testing::Witness> witness;
  const int bad = testing::run_workers(3, [&](std::uint32_t id) {
    ReaderWriterLock lock(path_);
    for (int round = 0; round < 100; ++round) {
      const Mode mode = (round + id) % 3 == 0 ? Mode::kExclusive : Mode::kShared;
      const BackOff quick{.delay = Seconds(0)};
      mode == Mode::kShared ? lock.acquire_read_lock(quick) : lock.acquire_write_lock(quick);
      witness->enter(mode);
      RealPlatform::yield();
      witness->leave(mode);
      mode == Mode::kShared ? lock.release_read_lock() : lock.release_write_lock();
    }
    return 0;
  });
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(witness->violations(), 0u);
}

TEST_F(FileLocks, ReadersShareWritersDoNotAndModesConvert) {
  const auto can_read = [&] {
    return elsewhere<ReaderWriterLock>([](auto& lock) { return lock.acquire_read_lock(kTry); });
  };
  const auto can_write = [&] {
    return elsewhere<ReaderWriterLock>([](auto& lock) { return lock.acquire_write_lock(kTry); });
  };
  ReaderWriterLock lock(path_);
  EXPECT_EQ(refusal([&] { lock.release_read_lock(); }), LockErrorKind::kNotOpen);
  {
    const auto guard = lock.read_lock();
    EXPECT_EQ(can_read(), 1);
    EXPECT_EQ(can_write(), 0);
    EXPECT_EQ(taken_elsewhere(), 1) << "the plain lock meets it on the same path";
    EXPECT_TRUE(lock.try_upgrade());
    EXPECT_EQ(can_read(), 0);
    EXPECT_EQ(refusal([&] { lock.release_read_lock(); }), LockErrorKind::kNotOpen);
    lock.downgrade();
    EXPECT_EQ(can_read(), 1);
  }
  EXPECT_EQ(can_write(), 1);
  {
    const auto guard = lock.write_lock();
    EXPECT_EQ(can_read(), 0);
  }
  const std::unique_lock<ReaderWriterLock> timed(lock, 1s);
  EXPECT_TRUE(timed.owns_lock());
}

TEST_F(FileLocks, WrappersHoldTheLockForTheCall) {
  auto doubled = inter_process_locked(path_, [&](int n) {
    EXPECT_EQ(taken_elsewhere(), 1);
    return 2 * n;
  });
  EXPECT_EQ(doubled(21), 42);
  EXPECT_EQ(taken_elsewhere(), 0);
  auto owned = inter_process_locked(path_, [] { return std::make_unique<int>(7); });
  EXPECT_EQ(*owned(), 7);
  auto throwing = inter_process_write_locked(path_, []() -> void { throw 5; });
  EXPECT_THROW(throwing(), int);
  EXPECT_EQ(taken_elsewhere(), 0);
  auto reading = inter_process_read_locked(path_, [&](std::string& text) -> std::string& {
    EXPECT_EQ(elsewhere<ReaderWriterLock>([](auto& l) { return l.acquire_read_lock(kTry); }), 1);
    EXPECT_EQ(taken_elsewhere(), 1);
    return text;
  });
  std::string text;
  EXPECT_EQ(&reading(text), &text);
  EXPECT_EQ(taken_elsewhere(), 0);
}

}  // namespace
}  // namespace hobbs
