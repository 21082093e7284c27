// The parts that know no processes.
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "harness/foreign/breakage.h"
#include "harness/foreign/mappings.h"
#include "harness/foreign/programs.h"
#include "harness/foreign/repetition.h"
#include "harness/foreign/system_call.h"

namespace hobbs::foreign {
namespace {

TEST(MappingsTest, OnlyWritableSharedMemoryCounts) {
  const std::vector<Range> ranges = shared_ranges(
      "55d0c8a00000-55d0c8a01000 r--p 00000000 08:01 42   /usr/bin/python3\n"
      "7f0000001000-7f0000002000 rw-p 00000000 00:00 0\n"
      "7f0000010000-7f0000011000 rw-s 00000000 00:1a 7    /dev/shm/sem.mp-x (deleted)\n"
      "7f0000011000-7f0000012000 rw-s 00000000 00:01 8    /dev/zero (deleted)\n"
      "7f0000020000-7f0000021000 r--s 00000000 08:01 9    /usr/lib/gconv-modules.cache\n"
      "7f0000030000-7f0000031000 rw-s 00000000 00:05 10   /dev/dri/card0\n"
      "7f0000040000-7f0000041000 rw-s 00000000 00:01 0    /SYSV00000000 (deleted)\n"
      "nonsense\n"
      "7f0000050000-7f0000051000 rw-s 00000000 00:01 0");
  EXPECT_EQ(ranges, (std::vector<Range>{{0x7f0000010000, 0x7f0000012000},
                                        {0x7f0000040000, 0x7f0000041000},
                                        {0x7f0000050000, 0x7f0000051000}}));
  EXPECT_TRUE(ranges[0].contains(0x7f0000011fff));
  EXPECT_FALSE(ranges[0].contains(0x7f0000012000));
  EXPECT_EQ(kernel_code("7ffc1000-7ffc3000 r-xp 00000000 00:00 0    [vdso]\n"),
            (Range{0x7ffc1000, 0x7ffc3000}));
  EXPECT_EQ(kernel_code("7ffc1000-7ffc3000 r-xp 00000000 00:00 0    [stack]\n"), Range{});
}

TEST(SystemCallTest, KnowsWhatOthersCanNotice) {
  EXPECT_EQ(effect_of({SYS_futex, {0, FUTEX_WAIT | FUTEX_PRIVATE_FLAG}}), Effect::kPrivate);
  EXPECT_EQ(effect_of({SYS_futex, {0, FUTEX_WAIT}}), Effect::kShared);
  EXPECT_EQ(effect_of({SYS_getpid, {}}), Effect::kPrivate);
  EXPECT_EQ(effect_of({SYS_clock_nanosleep, {}}), Effect::kSleep);
  EXPECT_EQ(effect_of({SYS_pselect6, {0}}), Effect::kSleep);
  EXPECT_EQ(effect_of({SYS_pselect6, {3}}), Effect::kPrivate);
  EXPECT_EQ(effect_of({SYS_openat, {}}), Effect::kShared);
  EXPECT_EQ(path_argument(SYS_openat), 1);
  EXPECT_EQ(path_argument(SYS_flock), -1);
  EXPECT_TRUE(takes_descriptor(SYS_flock));
  EXPECT_FALSE(takes_descriptor(SYS_openat));
  EXPECT_TRUE(writes_descriptor(SYS_sendto));
  EXPECT_TRUE(changes_mappings(SYS_mmap));
  EXPECT_EQ(name_of(SYS_flock), "flock");
  EXPECT_EQ(name_of(999), "system call 999");
}

/// One round of a poller; whether it was all no news.
bool look(Repetition& repetition, std::initializer_list<std::uint64_t> things) {
  bool no_news = true;
  for (const std::uint64_t what : things) no_news = repetition.note(what) && no_news;
  return no_news;
}

TEST(RepetitionTest, ThreeRoundsThatAreAlikeArePolling) {
  Repetition repetition;
  EXPECT_FALSE(look(repetition, {1, 2, 3}));
  EXPECT_FALSE(repetition.note_sleep());
  EXPECT_FALSE(look(repetition, {1, 2, 3}));
  EXPECT_FALSE(repetition.note_sleep());
  EXPECT_TRUE(look(repetition, {1, 2, 3}));
  EXPECT_TRUE(repetition.note_sleep());
  // Others act: it looks once more, and if it finds the same, has looked in vain.
  repetition.notice_others();
  EXPECT_FALSE(look(repetition, {1, 2, 3}));
  EXPECT_TRUE(repetition.note_sleep());
  repetition.notice_others();
  EXPECT_FALSE(look(repetition, {1, 2, 4}));
  EXPECT_FALSE(repetition.note_sleep());
}

TEST(RepetitionTest, WhatDiffersIsNews) {
  Repetition repetition;
  for (std::uint64_t round = 0; round < 20; ++round) {
    EXPECT_FALSE(look(repetition, {1, round, 3}));
    EXPECT_FALSE(repetition.note_sleep());
  }
}

TEST(RepetitionTest, ALongSpinIsOne) {
  Repetition repetition;
  int news = 0, looks = 0;
  while (!repetition.spins() && looks < 100'000) {
    news += repetition.note(7) ? 0 : 1;
    ++looks;
  }
  EXPECT_EQ(news, 3);
  EXPECT_TRUE(repetition.spins());
  EXPECT_GE(looks, 2'000);  // Locks spin so long before they sleep.
  repetition.notice_others();
  EXPECT_FALSE(repetition.spins());
}

AgentLock lock_of(const char* name) {
  for (const AgentLock& lock : seed_agent_locks()) {
    if (lock.name == std::string(name)) return lock;
  }
  return {};
}

TEST(ProgramsTest, FitTheLock) {
  EXPECT_NE(unfit_for_processes(lock_of("th.Lock")), "");
  EXPECT_TRUE(programs_for(lock_of("th.Lock"), 0, 0, 0).empty());
  const auto names = [](const AgentLock& lock, std::uint32_t kills) {
    std::string text;
    for (const NamedProgram& one : programs_for(lock, 0, 0, kills)) text += one.name + " ";
    return text;
  };
  EXPECT_EQ(names(lock_of("mp.Lock"), 0), "2x1 try ");
  EXPECT_EQ(names(lock_of("mp.Lock"), 1), "");
  EXPECT_EQ(names(lock_of("fa.InterProcessLock"), 0), "2x1 try 2x1-death ");
  EXPECT_EQ(names(lock_of("fa.InterProcessLock"), 1), "2x1-death ");
  EXPECT_EQ(names(lock_of("mpu.SharedLock"), 0), "2x1 read-write readers ");
  EXPECT_EQ(to_text(programs_for(lock_of("mp.Semaphore"), 0, 0, 0)[0].program),
            "lock lock unlock unlock | lock unlock");
  EXPECT_EQ(to_text(programs_for(lock_of("mp.Lock"), 3, 2, 0)[0].program),
            "lock unlock lock unlock | lock unlock lock unlock | lock unlock lock unlock");
}

Operation call(std::uint32_t worker, Verb verb, std::int64_t from, std::int64_t to,
               Outcome outcome) {
  Operation made;
  made.worker = worker;
  made.verb = verb;
  made.invoked_ns = from;
  made.returned_ns = to;
  made.outcome = outcome;
  return made;
}

Played played_of(std::vector<Operation> operations) {
  Played played;
  played.process_of = {0, 1, 2};
  played.history.operations = std::move(operations);
  return played;
}

std::string rule_of(const Played& played, const AgentLock& lock) {
  std::string undecided;
  const auto found = breakage_of(played, lock, undecided);
  return found ? found->rule : undecided.empty() ? "" : "undecided";
}

TEST(BreakageTest, JudgesHistoriesAndEnds) {
  const AgentLock lock = lock_of("mp.Lock");
  const Operation first = call(1, Verb::kAcquire, 10, 20, Outcome::kAcquired);
  const Operation release = call(1, Verb::kRelease, 50, 60, Outcome::kReleased);
  EXPECT_EQ(
      rule_of(played_of({first, call(2, Verb::kAcquire, 30, 40, Outcome::kAcquired), release}),
              lock),
      "ME-1");
  EXPECT_EQ(
      rule_of(played_of({first, call(2, Verb::kAcquire, 30, 70, Outcome::kAcquired), release}),
              lock),
      "");
  // A try that fails on a free lock, alone and beside a release.
  EXPECT_EQ(rule_of(played_of({first, release, call(2, Verb::kTry, 70, 80, Outcome::kBusy)}), lock),
            "TR-2");
  EXPECT_EQ(rule_of(played_of({first, release, call(2, Verb::kTry, 55, 80, Outcome::kBusy)}), lock),
            "");
  Played stuck = played_of({first, release});
  stuck.end = Played::End::kStuck;
  stuck.waiting = {1};
  EXPECT_EQ(rule_of(stuck, lock), "LV-1");
  stuck.in_release = true;
  EXPECT_EQ(rule_of(stuck, lock), "LV-2");
  EXPECT_EQ(rule_of(stuck, lock_of("mpu.SharedLock")), "undecided");
  stuck.end = Played::End::kExcused;
  EXPECT_EQ(rule_of(stuck, lock), "");
  stuck.end = Played::End::kUndecided;
  stuck.reason = "the machine is busy";
  EXPECT_EQ(rule_of(stuck, lock), "undecided");
}

}  // namespace
}  // namespace hobbs::foreign
