// The readers-writer locks: who may be inside together, whom a waiting writer bars, conversions.
#include <gtest/gtest.h>

#include <mutex>
#include <shared_mutex>

#include "locks/reference/big_reader_lock.h"
#include "locks/reference/phase_fair_lock.h"
#include "locks/reference/reader_preferring_lock.h"
#include "locks/reference/testing.h"
#include "locks/reference/writer_preferring_lock.h"

namespace hobbs {
namespace {

using namespace std::chrono_literals;

template <class L>
class RwLock : public ::testing::Test {
 protected:
  void SetUp() override { RealPlatform::attach(1); }

  /// A forked worker that waits for the lock, asleep when this returns, and exits with its order
  /// of service, from 1; 99 if it timed out.
  pid_t waiter(std::uint32_t id, Mode mode, std::chrono::milliseconds patience = 20s) {
    const pid_t child = testing::fork_worker(id, [=, this] {
      const auto deadline = RealPlatform::now() + patience;
      if (!(mode == Mode::kShared ? lock_->try_lock_shared_until(deadline)
                                  : lock_->try_lock_until(deadline))) {
        return 99;
      }
      const int order = static_cast<int>(++*served_);
      mode == Mode::kShared ? lock_->unlock_shared() : lock_->unlock();
      return order;
    });
    EXPECT_TRUE(testing::until_asleep(child));
    return child;
  }

  testing::Shared<L> lock_;
  testing::Shared<std::atomic<std::uint32_t>> served_;
};

using RwLocks = ::testing::Types<ReaderPreferringLock<RealPlatform>,
                                 WriterPreferringLock<RealPlatform>, PhaseFairLock<RealPlatform>>;
TYPED_TEST_SUITE(RwLock, RwLocks);

TYPED_TEST(RwLock, ReadersMeetInside) {
  testing::Shared<std::atomic<std::uint32_t>> inside;
  const int bad = testing::run_workers(3, [&](std::uint32_t) {
    this->lock_->lock_shared();
    ++*inside;
    while (*inside < 3) RealPlatform::yield();
    this->lock_->unlock_shared();
    return 0;
  });
  EXPECT_EQ(bad, 0);
}

TYPED_TEST(RwLock, AWriterThatGivesUpLetsTheReadersInThatItBarred) {
  this->lock_->lock_shared();
  const pid_t writer = this->waiter(2, Mode::kExclusive, 300ms);
  const pid_t reader = testing::fork_worker(3, [&] {
    this->lock_->lock_shared();
    this->lock_->unlock_shared();
    return 0;
  });
  EXPECT_EQ(testing::wait_for(writer), 99);
  EXPECT_EQ(testing::wait_for(reader), 0) << "while the first reader is inside";
  this->lock_->unlock_shared();
  EXPECT_TRUE(this->lock_->try_lock());
}

TYPED_TEST(RwLock, DowngradeLetsReadersInAndKeepsWritersOut) {
  this->lock_->lock();
  const pid_t reader = this->waiter(2, Mode::kShared);
  this->lock_->downgrade();
  EXPECT_EQ(testing::wait_for(reader), 1);
  RealPlatform::attach(3);
  EXPECT_FALSE(this->lock_->try_lock());
  EXPECT_FALSE(this->lock_->try_lock_for(1ms));
  EXPECT_TRUE(this->lock_->try_lock_shared());
  this->lock_->unlock_shared();
  RealPlatform::attach(1);
  this->lock_->unlock_shared();
  EXPECT_TRUE(this->lock_->try_lock());
}

TYPED_TEST(RwLock, ServesTheStandardGuards) {
  {
    std::shared_lock a(*this->lock_);
    std::shared_lock b(*this->lock_, std::try_to_lock);
    EXPECT_TRUE(b.owns_lock());
    std::unique_lock c(*this->lock_, 1ms);
    EXPECT_FALSE(c.owns_lock());
  }
  std::unique_lock a(*this->lock_);
  std::shared_lock b(*this->lock_, std::chrono::system_clock::now() + 1ms);
  EXPECT_FALSE(b.owns_lock());
}

using Preferring = RwLock<ReaderPreferringLock<RealPlatform>>;
TEST_F(Preferring, AWaitingWriterDoesNotBarReaders) {
  lock_->lock_shared();
  const pid_t writer = waiter(2, Mode::kExclusive);
  RealPlatform::attach(3);
  EXPECT_TRUE(lock_->try_lock_shared());
  lock_->unlock_shared();
  RealPlatform::attach(1);
  lock_->unlock_shared();
  EXPECT_EQ(testing::wait_for(writer), 1);
}

using WritersFirst = RwLock<WriterPreferringLock<RealPlatform>>;
TEST_F(WritersFirst, AllWritersGoBeforeAnEarlierReader) {
  lock_->lock();
  const pid_t reader = waiter(2, Mode::kShared), writer = waiter(3, Mode::kExclusive),
              other = waiter(4, Mode::kExclusive);
  lock_->unlock();
  EXPECT_EQ(testing::wait_for(reader), 3);
  EXPECT_LE(testing::wait_for(writer), 2);
  EXPECT_LE(testing::wait_for(other), 2);
}

using PhaseFair = RwLock<PhaseFairLock<RealPlatform>>;
TEST_F(PhaseFair, ReadersAndWritersAlternate) {
  lock_->lock();
  const pid_t first = waiter(2, Mode::kExclusive), second = waiter(3, Mode::kExclusive),
              reader = waiter(4, Mode::kShared), fellow = waiter(5, Mode::kShared);
  lock_->unlock();  // Both readers, then the writers in their order.
  EXPECT_LE(testing::wait_for(reader), 2);
  EXPECT_LE(testing::wait_for(fellow), 2);
  EXPECT_EQ(testing::wait_for(first), 3);
  EXPECT_EQ(testing::wait_for(second), 4);
}

TEST_F(PhaseFair, AReaderThatComesAfterAWriterWaitsForIt) {
  lock_->lock_shared();
  const pid_t writer = waiter(2, Mode::kExclusive);
  RealPlatform::attach(3);
  EXPECT_FALSE(lock_->try_lock_shared());
  const pid_t reader = waiter(4, Mode::kShared);
  RealPlatform::attach(1);
  lock_->unlock_shared();
  EXPECT_EQ(testing::wait_for(writer), 1);
  EXPECT_EQ(testing::wait_for(reader), 2);
}

class BigReader : public ::testing::Test {
 protected:
  void SetUp() override { RealPlatform::attach(1); }

  /// A forked writer, asleep when this returns, that exits with what it found the count to be.
  pid_t writer(std::uint32_t id) {
    const pid_t child = testing::fork_worker(id, [this] {
      lock_->lock();
      const int count = static_cast<int>(*count_);
      lock_->unlock();
      return count;
    });
    EXPECT_TRUE(testing::until_asleep(child));
    return child;
  }

  testing::Shared<BigReaderLock<RealPlatform>> lock_;
  testing::Shared<std::atomic<std::uint32_t>> count_;
};

TEST_F(BigReader, AWriterWaitsForEveryReaderAndBarsNewOnes) {
  lock_->lock_shared();
  const pid_t second = testing::fork_worker(2, [this] {
    lock_->lock_shared();
    ++*count_;
    while (*count_ < 3) RealPlatform::yield();
    lock_->unlock_shared();
    return 0;
  });
  while (*count_ < 1) RealPlatform::yield();
  const pid_t waits = writer(3);
  RealPlatform::attach(4);
  EXPECT_FALSE(lock_->try_lock_shared());
  EXPECT_FALSE(lock_->try_lock_shared_for(1ms));
  RealPlatform::attach(1);
  ++*count_;
  lock_->unlock_shared();
  ++*count_;
  EXPECT_EQ(testing::wait_for(waits), 3);
  EXPECT_EQ(testing::wait_for(second), 0);
  EXPECT_TRUE(lock_->try_lock_shared());
}

TEST_F(BigReader, DowngradeLetsReadersInAndKeepsWritersOut) {
  lock_->lock();
  const pid_t waits = writer(2);
  const pid_t reader = testing::fork_worker(3, [this] {
    lock_->lock_shared();
    lock_->unlock_shared();
    return 0;
  });
  EXPECT_TRUE(testing::until_asleep(reader));
  lock_->downgrade();
  ++*count_;
  lock_->unlock_shared();
  EXPECT_EQ(testing::wait_for(waits), 1);
  EXPECT_EQ(testing::wait_for(reader), 0);
}

template <class L>
using Upgradable = RwLock<L>;
using Upgradables =
    ::testing::Types<ReaderPreferringLock<RealPlatform>, WriterPreferringLock<RealPlatform>>;
TYPED_TEST_SUITE(Upgradable, Upgradables);

TYPED_TEST(Upgradable, ASoleReaderUpgradesAtOnce) {
  this->lock_->lock_shared();
  EXPECT_TRUE(this->lock_->try_upgrade());
  this->lock_->downgrade();
  EXPECT_EQ(this->lock_->upgrade(), Outcome::kAcquired);
  RealPlatform::attach(2);
  EXPECT_FALSE(this->lock_->try_lock_shared());
  RealPlatform::attach(1);
  this->lock_->unlock();
}

TYPED_TEST(Upgradable, OneOfTwoUpgradersIsRefusedAndKeepsItsHold) {
  this->lock_->lock_shared();
  const pid_t upgrader = testing::fork_worker(2, [&] {
    this->lock_->lock_shared();
    if (this->lock_->upgrade() != Outcome::kAcquired) return 1;
    this->lock_->unlock();
    return 0;
  });
  EXPECT_TRUE(testing::until_asleep(upgrader));
  EXPECT_FALSE(this->lock_->try_upgrade());
  EXPECT_EQ(this->lock_->upgrade(), Outcome::kUpgradeRefused);
  RealPlatform::attach(3);
  EXPECT_FALSE(this->lock_->try_lock()) << "both still read";
  RealPlatform::attach(1);
  this->lock_->unlock_shared();
  EXPECT_EQ(testing::wait_for(upgrader), 0);
  EXPECT_TRUE(this->lock_->try_lock());
}

}  // namespace
}  // namespace hobbs
