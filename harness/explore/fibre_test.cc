#include "harness/explore/fibre.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <thread>

namespace hobbs::explore {
namespace {

struct Shared {
  Fibres fibres{3};
  std::string log;
  long double sum = 0;
};

struct Self {
  Shared* shared;
  int index;
};

void two_turns(void* argument) {
  Self& self = *static_cast<Self*>(argument);
  long double local = self.index;  // Must survive the switch, and needs an aligned stack.
  self.shared->log += static_cast<char>('a' + self.index);
  self.shared->fibres.switch_to(Fibres::kMain);
  self.shared->sum += local;
  self.shared->log += static_cast<char>('A' + self.index);
  self.shared->fibres.switch_to(Fibres::kMain);
}

TEST(Fibres, KeepTheirStacksAndStartAnew) {
  Shared shared;
  Self selves[3] = {{&shared, 0}, {&shared, 1}, {&shared, 2}};
  for (int round = 0; round < 3; ++round) {
    shared.log.clear();
    for (int i = 0; i < 3; ++i) shared.fibres.start(i, two_turns, &selves[i]);
    for (const int i : {0, 2, 0, 1, 2}) shared.fibres.switch_to(i);  // Fibre 1 is abandoned midway.
    EXPECT_EQ(shared.log, "acAbC");
    EXPECT_EQ(shared.fibres.current(), Fibres::kMain);
    EXPECT_GT(shared.fibres.live(1).end - shared.fibres.live(1).begin, 32);
  }
  EXPECT_EQ(shared.sum, 6);
}

TEST(LeasedFibres, AreUsedAgainByTheThreadThatGaveThemBack) {
  const Fibres* first = nullptr;
  {
    const LeasedFibres lease(2);
    first = &*lease;
    const LeasedFibres other(2);
    EXPECT_NE(&*other, first) << "that one is in use";
  }
  const LeasedFibres larger(3);
  EXPECT_EQ(larger->size(), 3);
  std::thread([first] { EXPECT_NE(&*LeasedFibres(2), first); }).join();
  const LeasedFibres again(2), too(2);
  EXPECT_TRUE(&*again == first || &*too == first);
}

int fall(volatile int* depth) {
  volatile char frame[512] = {};
  *depth = *depth + 1;
  return *depth < 1'000'000 ? fall(depth) + frame[0] : 0;
}

/// Goes as deep as it is told, and leaves what it wrote there.
void leave_marks(void* argument) {
  Self& self = *static_cast<Self*>(argument);
  volatile std::uint64_t frame[64];
  for (auto& word : frame) word = 0x5a5a5a5a00000000u + static_cast<unsigned>(self.index);
  self.shared->fibres.switch_to(Fibres::kMain);
}

TEST(Fibres, FingerprintsTellStatesApartInEveryWord) {
  Shared shared;
  std::set<std::uint64_t> seen;
  Self self{&shared, 0};
  shared.fibres.start(0, leave_marks, &self);
  shared.fibres.switch_to(0);
  const Fibres::Live live = shared.fibres.live(0);
  const std::uint64_t before = shared.fibres.fingerprint(0);
  seen.insert(before);
  int words = 0;
  for (std::byte* at = live.begin; at + 8 <= live.end; at += 8, ++words) {
    *at ^= std::byte{1};
    seen.insert(shared.fibres.fingerprint(0));
    *at ^= std::byte{1};
  }
  EXPECT_GT(words, 64);
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(words) + 1);
  EXPECT_EQ(shared.fibres.fingerprint(0), before);
}

/// Whatever word stands beside them, also one of the hash's own.
TEST(Fibres, FingerprintsTellStatesApartBesideAnyWord) {
  Shared shared;
  Self self{&shared, 0};
  shared.fibres.start(0, leave_marks, &self);
  shared.fibres.switch_to(0);
  const Fibres::Live live = shared.fibres.live(0);
  constexpr std::uint64_t kWords[] = {0, UINT64_MAX, 0x9e3779b97f4a7c15u, 0xff51afd7ed558ccdu};
  for (const std::uint64_t word : kWords) {
    for (std::byte* at = live.begin; at + 8 <= live.end; at += 8) {
      std::uint64_t kept;
      std::memcpy(&kept, at, sizeof kept);
      std::memcpy(at, &word, sizeof word);
      std::set<std::uint64_t> seen = {shared.fibres.fingerprint(0)};
      std::size_t states = 1;
      for (std::byte* other = live.begin; other + 8 <= live.end; other += 8) {
        if (other == at) continue;
        *other ^= std::byte{1};
        seen.insert(shared.fibres.fingerprint(0));
        *other ^= std::byte{1};
        ++states;
      }
      EXPECT_EQ(seen.size(), states) << "beside word " << (at - live.begin) / 8;
      std::memcpy(at, &kept, sizeof kept);
    }
  }
}

TEST(FibresDeathTest, GuardPageStopsAnOverflow) {
  Fibres fibres(1, 16 * 1024);
  volatile int depth = 0;
  fibres.start(
      0, [](void* d) { fall(static_cast<volatile int*>(d)); }, const_cast<int*>(&depth));
  EXPECT_DEATH(fibres.switch_to(0), "");
}

}  // namespace
}  // namespace hobbs::explore
