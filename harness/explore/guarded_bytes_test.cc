#include "harness/explore/guarded_bytes.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

namespace hobbs::explore {
namespace {

TEST(GuardedBytesTest, KnowsWhatIsNobodys) {
  const GuardedBytes bytes(100);
  static int a_static = 0;
  int local = 0;
  const std::vector<int> on_heap(1);
  EXPECT_FALSE(bytes.is_nobodys(bytes.begin()));
  EXPECT_FALSE(bytes.is_nobodys(bytes.begin() + 99));
  EXPECT_FALSE(bytes.is_nobodys(&a_static));
  EXPECT_FALSE(bytes.is_nobodys(&local));
  EXPECT_FALSE(bytes.is_nobodys(on_heap.data()));
  EXPECT_TRUE(bytes.is_nobodys(bytes.begin() + 100));
  EXPECT_TRUE(bytes.is_nobodys(bytes.begin() - 1));
  EXPECT_TRUE(bytes.is_nobodys(bytes.begin() + (1 << 20)));
  void* const gone = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(gone, MAP_FAILED);
  EXPECT_FALSE(bytes.is_nobodys(gone));
  ::munmap(gone, 4096);
  EXPECT_TRUE(bytes.is_nobodys(gone));
  EXPECT_TRUE(bytes.is_nobodys(nullptr));
}

TEST(GuardedBytesTest, AreZerosAgainAndStayMapped) {
  std::byte* before = nullptr;
  {
    const GuardedBytes bytes(5000);
    before = bytes.begin();
    std::memset(before, 1, bytes.size());
  }
  EXPECT_EQ(*before, std::byte{1});
  const GuardedBytes bytes(6000);  // As many pages.
  EXPECT_EQ(bytes.begin(), before);
  EXPECT_EQ(bytes.begin()[0], std::byte{0});
  EXPECT_EQ(bytes.begin()[4999], std::byte{0});
}

TEST(GuardedBytesTest, CanBeUsedToTheLast) {
  const GuardedBytes bytes(4096 * 3 + 1);
  std::memset(bytes.begin(), 1, bytes.size());
  EXPECT_EQ(bytes.begin()[bytes.size() - 1], std::byte{1});
  EXPECT_DEATH(bytes.begin()[1 << 20] = std::byte{1}, "");
}

}  // namespace
}  // namespace hobbs::explore
