#include "harness/explore/fibre.h"

#include <gtest/gtest.h>

#include <string>

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

int fall(volatile int* depth) {
  volatile char frame[512] = {};
  *depth = *depth + 1;
  return *depth < 1'000'000 ? fall(depth) + frame[0] : 0;
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
