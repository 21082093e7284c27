// The other libraries' locks, from their machine code: every interleaving of small programs under
// both memory models, complete, none accused, and fast. Prints the table.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "harness/step/programs.h"
#include "harness/step/search.h"
#include "harness/step/step_driver.h"
#include "locks/adapters/adapters.h"

namespace hobbs::step {
namespace {

/// What grows beyond a default test's time with three workers: Boost's locks of a mutex and two
/// condition variables (1.3 to 2.5 million states), oneTBB's queues, whose waiters count pauses in
/// registers (0.2 to 7.7 million). `hobbs step --locks NAME` completes them in a minute.
bool is_large(std::string_view lock, std::string_view program) {
  const bool with_three = program != "2x1" && program != "2x2";
  return with_three && (lock == "boost.sharable_mutex" || lock == "boost.upgradable_mutex" ||
                        lock == "tbb.queuing_mutex" || lock == "tbb.queuing_rw_mutex");
}

double processor_s() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class AdaptersSearch : public testing::Test {
 protected:
  AdaptersSearch() {
    const char* base = std::getenv("TEST_TMPDIR");
    directory_ = std::string(base != nullptr ? base : "/tmp") + "/step.XXXXXX";
    if (::mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("no folder");
  }
  ~AdaptersSearch() override { std::filesystem::remove_all(directory_); }

  SearchReport search_one(const LockSpec& lock, const NamedProgram& program, Memory memory) {
    WorldOptions options{.memory = memory, .kills = program.kills, .signals = program.signals};
    if (lock.home == Home::kPath) options.path = directory_ + "/lock";
    World world(lock, program.program, options);
    const double start_s = processor_s();
    const SearchReport report = search(world, {});
    const double took_s = processor_s() - start_s;
    std::printf("%-36s %-16s %-3s %9lu states %9lu transitions %7.1f ms %5.1f M/s %7lu moves\n",
                lock.name.c_str(), program.name.c_str(),
                memory == Memory::kSequential ? "SC" : "TSO", report.states, report.transitions,
                took_s * 1e3, static_cast<double>(report.transitions) / took_s / 1e6, report.moves);
    transitions_ += report.transitions;
    took_s_ += took_s;
    return report;
  }

  void expect_survived(const LockSpec& lock, const NamedProgram& program, Memory memory) {
    const double before_s = took_s_;
    const SearchReport report = search_one(lock, program, memory);
    ASSERT_FALSE(report.crash_points.empty()) << lock.name;
    std::printf("%41zu points of death, %.2f ms each\n", report.crash_points.size(),
                (took_s_ - before_s) * 1e3 / static_cast<double>(report.crash_points.size()));
    for (const CrashPoint& point : report.crash_points) {
      EXPECT_FALSE(point.broken) << lock.name << " " << point.instruction;
      // glibc's robust mutex and a third process: see native_test.cc.
      const bool known = lock.claims.crash == CrashBehaviour::kOwnerDied &&
                         program.program.workers.size() == 3 && point.role == "releasing";
      EXPECT_TRUE(!point.stuck || known) << lock.name << " " << point.instruction;
    }
  }

  std::string directory_;
  std::uint64_t transitions_ = 0;
  double took_s_ = 0;
};

TEST_F(AdaptersSearch, TwoByTwoAndThreeByOneAreCompleteAndCleanUnderBothMemoryModels) {
  StepDriver driver;
  unsigned subjects = 0;
  for (const LockSpec& lock : adapter_catalog()) {
    if (!driver.unfit(lock).empty()) continue;
    ++subjects;
    for (const NamedProgram& program : step_programs(lock, 0, 0, 0)) {
      const bool wanted = program.name == "2x1" || program.name == "2x2" || program.name == "3x1" ||
                          program.name == "writer-2readers" || program.name == "2writers-reader";
      if (!wanted || is_large(lock.name, program.name)) continue;
      for (const Memory memory : {Memory::kSequential, Memory::kTotalStoreOrder}) {
        const SearchReport report = search_one(lock, program, memory);
        EXPECT_EQ(report.end, SearchReport::End::kComplete)
            << lock.name << " " << program.name << " " << report.rule << " " << report.summary
            << " " << to_text(report.path);
      }
    }
  }
  std::printf("%u subjects, %lu transitions in %.2f s of processor time\n", subjects, transitions_,
              took_s_);
  EXPECT_GE(subjects, 30u);
  RecordProperty("transitions", static_cast<int>(transitions_));
  EXPECT_LT(took_s_, 20.0);  // Some 3 s on a quiet machine.
}

TEST_F(AdaptersSearch, ADeathAtEachPointIsSurvivedWhereThatIsClaimed) {
  StepDriver driver;
  for (const LockSpec& lock : adapter_catalog()) {
    if (!driver.unfit(lock).empty() || lock.claims.crash == CrashBehaviour::kStuck) continue;
    for (const NamedProgram& program : step_programs(lock, 0, 0, 1)) {
      for (const Memory memory : {Memory::kSequential, Memory::kTotalStoreOrder}) {
        expect_survived(lock, program, memory);
      }
    }
  }
}

}  // namespace
}  // namespace hobbs::step
