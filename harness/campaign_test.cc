#include "harness/campaign.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "harness/janitor.h"
#include "harness/testing/fake_driver.h"

namespace hobbs {
namespace {

using std::chrono::milliseconds;
using testing::fake_drivers;
using testing::fake_lock;

class CampaignTest : public ::testing::Test {
 protected:
  CampaignOutcome run(std::initializer_list<const char*> names) {
    for (const char* name : names) locks_.push_back(fake_lock(name));
    return run_campaign(plan());
  }

  CampaignPlan& plan() {
    plan_.locks = &locks_;
    plan_.drivers = &drivers_;
    plan_.budget = milliseconds(2000);
    plan_.jobs = 2;
    plan_.request.work_directory = janitor_.directory();
    return plan_;
  }

  static const Result* find(const CampaignOutcome& outcome, const std::string& lock,
                            const std::string& driver) {
    for (const Result& result : outcome.results) {
      if (result.lock == lock && result.driver == driver) return &result;
    }
    return nullptr;
  }

  Catalog locks_;
  Drivers drivers_ = fake_drivers();
  CampaignPlan plan_;
  Janitor janitor_;
};

TEST_F(CampaignTest, TellsWhatTheDriversSay) {
  const CampaignOutcome outcome = run({"good", "bad", "unsure", "unfit"});
  EXPECT_EQ(find(outcome, "good", "explore")->verdict, Verdict::kPass);
  EXPECT_EQ(find(outcome, "good", "free")->verdict, Verdict::kPass);
  EXPECT_EQ(find(outcome, "unsure", "free")->verdict, Verdict::kInconclusive);
  EXPECT_EQ(find(outcome, "bad", "explore")->verdict, Verdict::kFail);
  EXPECT_EQ(find(outcome, "bad", "explore")->finding->failed, 20u);
  EXPECT_EQ(find(outcome, "unfit", "free")->reason, "it is not for this driver");
  EXPECT_EQ(overall(outcome.results), Verdict::kFail);
  // In catalogue order, whatever ended first.
  EXPECT_EQ(outcome.results.front().lock, "good");
  EXPECT_EQ(outcome.results.back().lock, "unfit");
}

TEST_F(CampaignTest, StopsWithALockAfterItsFirstFinding) {
  const CampaignOutcome outcome = run({"bad"});
  EXPECT_EQ(find(outcome, "bad", "explore")->verdict, Verdict::kFail);
  EXPECT_EQ(find(outcome, "bad", "free")->verdict, Verdict::kSkipped);
}

TEST_F(CampaignTest, KeepsGoingIfAsked) {
  plan().request.stop_at_first_finding = false;
  EXPECT_EQ(find(run({"bad"}), "bad", "free")->verdict, Verdict::kFail);
}

TEST_F(CampaignTest, ACrashThatRepeatsIsAFindingThatNamesTheSignal) {
  const CampaignOutcome outcome = run({"segv", "good"});
  const Result* crash = find(outcome, "segv", "explore");
  ASSERT_EQ(crash->verdict, Verdict::kFail);
  EXPECT_NE(crash->finding->summary.find("SIGSEGV"), std::string::npos);
  EXPECT_NE(crash->finding->summary.find("at plain"), std::string::npos);
  EXPECT_EQ(find(outcome, "good", "free")->verdict, Verdict::kPass);
}

TEST_F(CampaignTest, ACrashThatDoesNotRepeatAccusesNobody) {
  const CampaignOutcome outcome = run({"segv_once"});
  EXPECT_EQ(overall(outcome.results), Verdict::kInconclusive);
  EXPECT_TRUE(std::any_of(outcome.results.begin(), outcome.results.end(), [](const Result& result) {
    return result.reason.find("crashed") != std::string::npos;
  }));
}

TEST_F(CampaignTest, AnAbortIsInconclusiveWithItsLastWords) {
  const Result result = *find(run({"abort"}), "abort", "explore");
  EXPECT_EQ(result.verdict, Verdict::kInconclusive);
  EXPECT_NE(result.reason.find("SIGABRT"), std::string::npos);
  EXPECT_NE(result.reason.find("a check of the lock failed"), std::string::npos);
}

TEST_F(CampaignTest, WhatWasFoundSurvivesTheDriver) {
  const CampaignOutcome outcome = run({"crashy"});
  EXPECT_EQ(find(outcome, "crashy", "explore")->verdict, Verdict::kPass);
  EXPECT_EQ(overall(outcome.results), Verdict::kInconclusive);
}

TEST_F(CampaignTest, AnExceptionIsInconclusiveInItsOwnWords) {
  const Result result = *find(run({"throws"}), "throws", "explore");
  EXPECT_EQ(result.verdict, Verdict::kInconclusive);
  EXPECT_NE(result.reason.find("the driver's own words"), std::string::npos);
}

TEST_F(CampaignTest, AHangIsEndedAndInconclusive) {
  plan().driver_globs = "explore";
  plan().budget = milliseconds(100);
  const CampaignOutcome outcome = run({"hang"});
  const Result* result = find(outcome, "hang", "explore");
  EXPECT_EQ(result->verdict, Verdict::kInconclusive);
  EXPECT_NE(result->reason.find("did not end within"), std::string::npos);
}

TEST_F(CampaignTest, NothingOutlivesIt) {
  run({"orphan"});
  // All our children but the janitor are gone; a child that had died would still be waited for.
  std::ifstream file("/proc/self/task/" + std::to_string(gettid()) + "/children");
  for (pid_t pid = 0; file >> pid;) {
    if (pid == janitor_.pid()) continue;
    EXPECT_EQ(waitpid(pid, nullptr, 0), pid);
  }
}

TEST_F(CampaignTest, LeavesItToADriverToNameASearchOfAGivenSize) {
  plan().request.workers = 4;
  plan().request.scenarios = "sc/4x*";  // In no driver's list.
  const CampaignOutcome outcome = run({"good"});
  EXPECT_EQ(find(outcome, "good", "explore")->scenario, "sc/4x*");
}

TEST_F(CampaignTest, CrashOnlyTakesTheScenariosWithACrashRule) {
  plan().crash_only = true;
  for (const Result& result : run({"good"}).results) EXPECT_EQ(result.scenario, "death");
}

TEST_F(CampaignTest, SelectsByScenarioRuleAndDriver) {
  locks_.push_back(fake_lock("good"));
  std::vector<Result> skipped;
  plan().request.rules = "LV-*";
  ASSERT_EQ(plan_slices(plan_, skipped).size(), 2u);
  EXPECT_EQ(plan_slices(plan_, skipped).front().scenarios, "plain");
  plan_.driver_globs = "free";
  EXPECT_EQ(plan_slices(plan_, skipped).size(), 1u);
  plan_.request.scenarios = "nothing*";
  EXPECT_TRUE(plan_slices(plan_, skipped).empty());
}

TEST_F(CampaignTest, ShardsTakeEverySeedOnce) {
  locks_.push_back(fake_lock("good"));
  plan().driver_globs = "free";
  plan_.seeds = 7;
  plan_.shards = 3;
  plan_.request.seed = 100;
  std::vector<std::uint64_t> seeds;
  std::vector<Result> skipped;
  for (plan_.shard = 0; plan_.shard < plan_.shards; ++plan_.shard) {
    for (const PlannedSlice& slice : plan_slices(plan_, skipped)) seeds.push_back(slice.seed);
  }
  std::sort(seeds.begin(), seeds.end());
  EXPECT_EQ(seeds, (std::vector<std::uint64_t>{100, 101, 102, 103, 104, 105, 106}));
}

TEST_F(CampaignTest, SeedsBecomeOneResult) {
  plan().seeds = 3;
  const CampaignOutcome outcome = run({"good"});
  ASSERT_EQ(outcome.results.size(), 4u);  // Two scenarios on two drivers.
  EXPECT_EQ(outcome.results.front().executions, 30u);
}

TEST(ShareOf, IsFairAndNeverMoreThanThereIs) {
  EXPECT_EQ(share_of(milliseconds(1000), 1, 4, 1), milliseconds(250));
  EXPECT_EQ(share_of(milliseconds(1000), 1, 4, 2), milliseconds(500));
  EXPECT_EQ(share_of(milliseconds(1000), 3, 4, 2), milliseconds(1000));
  EXPECT_GT(share_of(milliseconds(-50), 1, 4, 1), milliseconds(0));
}

TEST(Janitor, ClearsTheDirectoryAndSharedMemory) {
  std::string directory;
  std::string object;
  {
    const Janitor janitor;
    directory = janitor.directory();
    std::filesystem::create_directories(directory + "/deep/er");
    std::ofstream(directory + "/deep/er/file") << "x";
    std::filesystem::permissions(directory + "/deep", std::filesystem::perms::none);
    object = "/dev/shm/sem." + std::filesystem::path(directory).filename().string() + "-one";
    std::ofstream(object) << "x";
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_FALSE(std::filesystem::exists(object));
}

TEST(Janitor, DoesNotWaitForWhatWasLeftBehind) {
  pid_t child = -1;
  {
    const Janitor janitor;
    child = fork();
    if (child == 0) pause();
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(Janitor, RemovesTheSemaphoreSetsThatItsFilesName) {
  const key_t named_key = static_cast<key_t>(getpid()) << 8 | 1;
  const key_t unnamed_key = named_key + 1;
  const int named = semget(named_key, 1, IPC_CREAT | IPC_EXCL | 0600);
  const int unnamed = semget(unnamed_key, 1, IPC_CREAT | IPC_EXCL | 0600);
  ASSERT_GE(named, 0);
  ASSERT_GE(unnamed, 0);
  {
    const Janitor janitor;
    std::ofstream(janitor.directory() + "/lock") << "sysv-semaphore-key:" << named_key;
    std::ofstream(janitor.directory() + "/other") << unnamed_key;
  }
  EXPECT_EQ(semctl(named, 0, GETVAL), -1);
  EXPECT_EQ(semctl(unnamed, 0, GETVAL), 0);
  semctl(unnamed, 0, IPC_RMID);
}

TEST(Janitor, SaysThatAndWhyThereIsNoDirectory) {
  const char* before = std::getenv("TEST_TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TEST_TMPDIR", "/nowhere", 1);
  try {
    const Janitor janitor;
    ADD_FAILURE() << "made " << janitor.directory();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
  }
  before == nullptr ? unsetenv("TEST_TMPDIR") : setenv("TEST_TMPDIR", kept.c_str(), 1);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);  // No janitor is left.
}

TEST(Janitor, OutlivesASigkillOfItsOwner) {
  // Orphans come to us, so that we can wait for the last of them.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t owner = fork();
  if (owner == 0) {
    const Janitor janitor;
    const pid_t child = fork();  // A process that would survive its parent.
    if (child == 0) pause();
    std::string told = std::to_string(child) + " " + janitor.directory();
    if (write(ends[1], told.data(), told.size()) < 0) _exit(1);
    pause();
  }
  close(ends[1]);
  char buffer[4096];
  const ssize_t n = read(ends[0], buffer, sizeof buffer);
  ASSERT_GT(n, 0);
  kill(owner, SIGKILL);
  ASSERT_EQ(waitpid(owner, nullptr, 0), owner);
  const std::string told(buffer, static_cast<std::size_t>(n));
  const pid_t child = std::stoi(told);
  const std::string directory = told.substr(told.find(' ') + 1);
  while (waitpid(-1, nullptr, 0) > 0) {
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_EQ(kill(child, 0), -1);
}

}  // namespace
}  // namespace hobbs
