#include "harness/bench/turns.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace hobbs::bench {
namespace {

TEST(Turns, GoABBA) {
  Turns turns;
  turns.asks(1);
  EXPECT_EQ(turns.next(), std::nullopt) << "the other is still busy, if only with its start";
  turns.asks(0);
  std::string order;
  for (int i = 0; i < 8; ++i) {
    const std::optional<int> side = turns.next();
    ASSERT_TRUE(side);
    EXPECT_EQ(turns.next(), std::nullopt) << "two at once";
    order += *side == 0 ? 'A' : 'B';
    turns.asks(*side);
  }
  EXPECT_EQ(order, "ABBAABBA");
}

TEST(Turns, TheOneThatIsLeftGoesOn) {
  Turns turns;
  turns.asks(0);
  turns.leaves(1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(turns.next(), 0);
    turns.asks(0);
  }
  turns.leaves(0);
  EXPECT_EQ(turns.next(), std::nullopt);
}

TEST(AwaitTurn, ReturnsWhenGranted) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  std::thread granter([&] {
    ASSERT_TRUE(hear_asker(ends[0]));
    grant_turn(ends[0]);
    EXPECT_FALSE(hear_asker(ends[0])) << "it is gone";
  });
  EXPECT_EQ(await_turn(ends[1]), "");
  close(ends[1]);
  granter.join();
  close(ends[0]);
}

TEST(AwaitTurn, SaysWhyItNeverComes) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_NE(await_turn(ends[0]).find("Socket operation on non-socket"), std::string::npos);
  close(ends[0]);
  close(ends[1]);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_EQ(shutdown(ends[0], SHUT_WR), 0);
  EXPECT_EQ(await_turn(ends[1]), "nobody is left who grants turns");
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace hobbs::bench
