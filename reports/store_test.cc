#include "reports/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace hobbs {
namespace {

/// A fresh path whose file goes away, with what SQLite puts beside it.
class StoreTest : public testing::Test {
 protected:
  void SetUp() override { remove_all(); }
  void TearDown() override { remove_all(); }

  std::string path_ = testing::TempDir() + "/store-" + std::to_string(getpid()) + ".db";

 private:
  void remove_all() {
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
  }
};

BenchRun bench_run(int cases, double ns = 10) {
  BenchRun run;
  run.date = "2026-01-31T12:00:00+00:00";
  run.context = {{"cpu", "Z80"}, {"cores", "2"}, {"kernel", "Linux 6"}};
  for (int i = 0; i < cases; ++i) {
    BenchCase one;
    one.lock = "lock-" + std::to_string(i);
    one.workload = "contended/processes:2";
    one.samples = {{ns, 2 * ns, {{"acquire_p99", 99.5}}}, {ns + 1, 2 * ns, {{"jain", 1}}}};
    run.cases.push_back(one);
  }
  return run;
}

Run campaign_run() {
  Run run;
  run.command = "verify";
  run.started = "2026-01-31T12:00:00Z";
  Result result;
  result.lock = "ticket";
  result.scenario = "loop";
  result.rule = "ME-1";
  result.verdict = Verdict::kFail;
  result.finding = Finding{};
  result.finding->summary = "two were in";
  run.results = {result, Result{}};
  return run;
}

TEST_F(StoreTest, GivesBackWhatWasSaved) {
  Store store(path_);
  BenchRun run = bench_run(3);
  run.cases[1].state = BenchState::kRefused;
  run.cases[1].reason = "it has no try";
  run.cases[1].samples.clear();
  const std::int64_t id = store.save(run);
  const BenchRun loaded = Store(path_).load_bench(id);
  EXPECT_EQ(loaded.date, run.date);
  EXPECT_EQ(loaded.context, run.context);
  EXPECT_EQ(loaded.cases, run.cases);
}

TEST_F(StoreTest, ListsCampaignsToo) {
  Store store(path_);
  store.save(campaign_run());
  const std::int64_t bench = store.save(bench_run(4));
  const std::vector<StoredRun> runs = store.runs();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].command, "verify");
  EXPECT_EQ(runs[0].cases, 2u);
  EXPECT_EQ(runs[1].id, bench);
  EXPECT_EQ(runs[1].cases, 4u);
  EXPECT_THROW(store.load_bench(runs[0].id), StoreError) << "not a benchmark";
  EXPECT_THROW(store.load_bench(77), StoreError);
}

TEST_F(StoreTest, BaselinesBelongToAMachineAndMove) {
  Store store(path_);
  const std::int64_t first = store.save(bench_run(1));
  const std::int64_t second = store.save(bench_run(1));
  const std::string machine = machine_fingerprint(bench_run(1));
  EXPECT_EQ(store.find_baseline("main", machine), std::nullopt);
  store.name_baseline("main", first);
  EXPECT_EQ(store.find_baseline("main", machine), first);
  EXPECT_EQ(store.find_baseline("main", "another machine"), std::nullopt);
  store.name_baseline("main", second);
  EXPECT_EQ(store.find_baseline("main", machine), second);
  EXPECT_THROW(store.name_baseline("main", 99), StoreError);
}

TEST_F(StoreTest, HistoryIsTheMedianOfEachRun) {
  Store store(path_);
  store.save(bench_run(2, 10));
  store.save(bench_run(2, 20));
  const auto points =
      store.history("lock-1", "contended/processes:2", machine_fingerprint(bench_run(1)));
  ASSERT_EQ(points.size(), 2u);
  EXPECT_EQ(points[0].ns, 10.5);
  EXPECT_EQ(points[1].ns, 20.5);
}

TEST_F(StoreTest, RefusesWhatIsNotItsOwn) {
  { Store store(path_); }
  {
    SQLite::Database db(path_, SQLite::OPEN_READWRITE);
    db.exec("PRAGMA user_version = 99");
  }
  EXPECT_THROW(Store store(path_), StoreError);
  EXPECT_THROW(Store store("/nowhere/at/all.db"), StoreError);
  const std::string text = path_ + ".txt";
  std::ofstream(text) << "this is text, and long enough not to be taken for an empty database";
  EXPECT_THROW(Store store(text), StoreError);
  std::filesystem::remove(text);
}

/// Saves run after run and says each id that is committed, until it is killed.
[[noreturn]] void save_for_ever(const std::string& path, int to) {
  Store store(path);
  const BenchRun run = bench_run(50);
  while (true) {
    const std::int64_t id = store.save(run);
    if (write(to, &id, sizeof id) != sizeof id) _exit(1);
  }
}

TEST_F(StoreTest, KillLosesNothingThatWasCommittedAndLeavesNoHalfRuns) {
  std::size_t committed = 0;
  for (int kill_number = 0; kill_number < 12; ++kill_number) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) save_for_ever(path_, ends[1]);
    close(ends[1]);
    // The kill falls somewhere into the writing of the next run, elsewhere each time.
    std::int64_t id = 0;
    for (int saved = 0; saved < 3 && read(ends[0], &id, sizeof id) == sizeof id; ++saved) {
      ++committed;
    }
    usleep(static_cast<useconds_t>(kill_number * 150));  // tidy: the moment is what is tested.
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(ends[0], &id, sizeof id) == sizeof id) ++committed;
    close(ends[0]);

    Store store(path_);
    const std::vector<StoredRun> runs = store.runs();
    // One more may have been committed and not yet said.
    EXPECT_GE(runs.size(), committed);
    EXPECT_LE(runs.size(), committed + 1);
    committed = runs.size();
    for (const StoredRun& run : runs) EXPECT_EQ(run.cases, 50u);
    EXPECT_EQ(store.load_bench(runs.back().id).cases, bench_run(50).cases);
  }
  SQLite::Database db(path_, SQLite::OPEN_READWRITE);
  EXPECT_EQ(db.execAndGet("PRAGMA integrity_check").getString(), "ok");
}

TEST_F(StoreTest, WritersDoNotLoseEachOthersRuns) {
  constexpr int kWriters = 3;
  constexpr int kRuns = 15;
  std::vector<pid_t> children;
  for (int writer = 0; writer < kWriters; ++writer) {
    const pid_t child = fork();
    if (child == 0) {
      try {
        Store store(path_);  // All of them make the file at once, too.
        for (int i = 0; i < kRuns; ++i) store.save(bench_run(10));
      } catch (const std::exception& error) {
        fprintf(stderr, "%s\n", error.what());
        _exit(1);
      }
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  Store store(path_);
  const std::vector<StoredRun> runs = store.runs();
  EXPECT_EQ(runs.size(), static_cast<std::size_t>(kWriters * kRuns));
  for (const StoredRun& run : runs) EXPECT_EQ(run.cases, 10u);
}

}  // namespace
}  // namespace hobbs
