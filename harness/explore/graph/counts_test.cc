// How many executions small programs have: as many as GenMC counts, none met twice.
#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>

#include "harness/explore/graph/explorer.h"
#include "harness/explore/graph/worker_behaviour.h"
#include "locks/reference/mcs_lock.h"
#include "locks/reference/test_and_test_and_set_lock.h"
#include "locks/reference/ticket_lock.h"
#include "locks/spec_of.h"

namespace hobbs::explore::graph {
namespace {

Program sections(int workers, int times) {
  const std::vector<Step> section = {{Verb::kAcquire, Mode::kExclusive, 0, 0},
                                     {Verb::kWork, Mode::kExclusive, 0, 0},
                                     {Verb::kRelease, Mode::kExclusive, 0, 0}};
  Program program;
  program.workers.resize(static_cast<std::size_t>(workers));
  for (auto& steps : program.workers) {
    for (int i = 0; i < times; ++i) steps.insert(steps.end(), section.begin(), section.end());
  }
  return program;
}

double processor_us() {
  timespec now;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

struct Count {
  const char* name;
  LockSpec lock;
  int workers;
  int times;
  std::uint64_t executions;
  std::size_t most_nodes;  // Of the workers, whose paths meet again after each call.
};

TEST(Counts, AreThoseOfAnOptimalSearch) {
  const Count counts[] = {
      {"a ticket 2x2", spec_of<TicketLock>("ticket"), 2, 2, 6, 100},
      {"b ttas 3x1", spec_of<TestAndTestAndSetLock>("ttas"), 3, 1, 36, 40},
      {"c mcs 2x2", spec_of<McsLock>("mcs"), 2, 2, 78, 150},
      {"ttas 5x1", spec_of<TestAndTestAndSetLock>("ttas"), 5, 1, 14'400, 60},
  };
  for (const Count& count : counts) {
    const Program program = sections(count.workers, count.times);
    ASSERT_EQ(LoneWorker::unfit(count.lock, program), "");
    WorkerBehaviour behaviour(count.lock, program, Topology::kFork);
    Explorer explorer(behaviour, Model::kC11, {});
    int wrong = 0;
    const auto visit = [&wrong](const Graph&, Ending ending) {
      wrong += ending != Ending::kComplete && ending != Ending::kBlocked;
      return true;
    };
    const double start = processor_us();
    const Tally tally = explorer.run(visit);
    const double middle = processor_us();
    const Tally again = explorer.run(visit);
    const double each_us = (processor_us() - middle) / static_cast<double>(again.executions);
    std::printf("%s: %llu executions, first in %.0f us, then in %.2f us each; %zu nodes\n",
                count.name, static_cast<unsigned long long>(tally.executions), middle - start,
                each_us, behaviour.size());
    EXPECT_EQ(behaviour.refusal(), "");
    EXPECT_EQ(tally.executions, count.executions) << count.name;
    EXPECT_EQ(again.executions, count.executions) << count.name;
    EXPECT_EQ(tally.limit, Limit::kNone);
    EXPECT_LE(behaviour.size(), count.most_nodes) << count.name;
    EXPECT_EQ(wrong, 0) << count.name;
  }
}

}  // namespace
}  // namespace hobbs::explore::graph
