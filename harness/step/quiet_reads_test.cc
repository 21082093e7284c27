// A search that does not stop at reads of what nobody changes against one that does: the same
// verdict on every adapter and every planted bug, and never more states.
#include "harness/step/quiet_reads.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "harness/step/programs.h"
#include "harness/step/search.h"
#include "harness/step/step_driver.h"
#include "harness/step/subjects_for_test.h"
#include "locks/adapters/adapters.h"

namespace hobbs::step {
namespace {

using namespace step_subjects;

std::uint64_t quiet_states = 0, all_states = 0;

/// Both searches; follows the quiet one's counterexample in a world of all stops.
void expect_same_verdict(const LockSpec& lock, const Program& program,
                         const WorldOptions& options) {
  World world(lock, program, options);
  const SearchReport quiet = search(world, {});
  const SearchReport all = search(world, {.all_stops = true});
  const std::string what = lock.name + " " + to_text(program);
  EXPECT_EQ(quiet.end, all.end) << what << ": " << quiet.summary << "; " << all.summary;
  EXPECT_EQ(quiet.rule, all.rule) << what;
  EXPECT_EQ(quiet.stuck_as_promised > 0, all.stuck_as_promised > 0) << what;
  EXPECT_EQ(world.runner().changing(), nullptr);
  if (quiet.end != SearchReport::End::kViolation) {
    EXPECT_LE(quiet.states, all.states) << what;
  }
  quiet_states += quiet.states;
  all_states += all.states;
  State state = world.initial();
  for (std::size_t i = 0; i < quiet.path.size(); ++i) {
    const Incident incident = world.step(state, quiet.path[i]);
    ASSERT_TRUE(incident.none() || i + 1 == quiet.path.size()) << what;
  }
}

TEST(QuietReads, LeaveEveryVerdictOnTheAdaptersAsItIs) {
  StepDriver driver;
  for (const LockSpec& lock : adapter_catalog()) {
    if (!driver.unfit(lock).empty() || lock.home == Home::kPath) continue;
    for (const NamedProgram& program : step_programs(lock, 0, 0, 0)) {
      if (program.program.workers.size() > 2 || program.name == "2x2") continue;
      for (const Memory memory : {Memory::kSequential, Memory::kTotalStoreOrder}) {
        expect_same_verdict(lock, program.program,
                            {.memory = memory, .kills = program.kills, .signals = program.signals});
      }
    }
  }
  EXPECT_LT(quiet_states, all_states);
  RecordProperty("quiet states", static_cast<int>(quiet_states));
  RecordProperty("all states", static_cast<int>(all_states));
}

/// Its gate is read again and again, and opened by the last who leaves: a word that changes only
/// when all are nearly done.
struct LateChange {
  std::atomic<std::uint32_t> word;
  std::atomic<std::uint32_t> done, gate;
  void lock() {
    while (word.exchange(1) != 0) __builtin_ia32_pause();
    if (gate.load() != 0) word.store(0);  // Broken: whoever comes last does not exclude.
  }
  void unlock() {
    if (done.fetch_add(1) == 1) gate.store(1);
    word.store(0);
  }
};

TEST(QuietReads, BeginAgainWhenAWordChangesAfterAll) {
  const Program program =
      parse_program("lock unlock | lock unlock | lock unlock | lock unlock").program;
  expect_same_verdict(spec_of<LateChange>("late change"), program, {});
}

TEST(QuietReads, FindTheRobustMutexsLostWakeAndItsSchedule) {
  Claims robust;
  robust.crash = CrashBehaviour::kOwnerDied;
  const Program program = parse_program("lock unlock | lock unlock | lock unlock").program;
  expect_same_verdict(spec_of<PosixRobust>("robust", robust), program, {.kills = 1});
}

}  // namespace
}  // namespace hobbs::step
