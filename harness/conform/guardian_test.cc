#include "harness/conform/guardian.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

#include "harness/conform/agent_command.h"
#include "harness/conform/canary.h"
#include "harness/conform/case_runner.h"
#include "harness/janitor.h"

namespace hobbs {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// As much of it as can be read: what tells of a process fails when that ends meanwhile.
std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Living processes whose command line names `mark`: agents are given a path in our directory.
int processes_about(const std::string& mark) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (text_of(entry.path() / "cmdline").find(mark) != std::string::npos) ++count;
  }
  return count;
}

bool holds_within(milliseconds limit, const std::function<bool()>& condition) {
  const auto until = steady_clock::now() + limit;
  while (!condition()) {
    if (steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(5));  // tidy: between two looks at the condition.
  }
  return true;
}

/// Python's named semaphores: ours, and those of whatever else runs on this machine.
std::set<std::string> semaphores() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    const std::string name = entry.path().filename();
    if (name.starts_with("sem.mp-")) names.insert(name);
  }
  return names;
}

class GuardianTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = "/tmp/hobbs-guardian-test-XXXXXX";
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  bool nothing_left() const {
    return processes_about(directory_) == 0 && std::filesystem::is_empty(directory_);
  }

  std::string directory_;
};

// Blocked threads, forks of both kinds, a fork's fork, and a helper process of Python's own (its
// resource tracker, which must still unlink the semaphore).
constexpr const char* kCase = R"([G-1] mp.Lock | many processes
new L mp.spawn.Lock()
A L.acquire() -> true
A.t1 L.acquire() -> blocks
fork B A
rawfork C B
B L.acquire() -> blocks
C.t1 L.acquire() -> blocks
spawn E
sleep 60
)";

/// Runs the case in a child process, SIGKILLs that after `delay`, and expects nothing to stay.
void kill_runner_after(milliseconds delay, const std::string& directory,
                       const std::vector<std::string>& command,
                       const std::function<bool()>& nothing_left) {
  const pid_t runner = fork();
  ASSERT_GE(runner, 0);
  if (runner == 0) {
    setenv("TEST_TMPDIR", directory.c_str(), 1);
    const Janitor janitor;  // Before the guardian lives its directory is the janitor's.
    const Canary canary;
    CaseSetting setting;
    setting.command = command;
    setting.parent_directory = janitor.directory();
    setting.canary = &canary;
    run_case(parse_cases(kCase).cases.at(0), setting);
    _exit(0);
  }
  std::this_thread::sleep_for(delay);  // tidy: the moment is what is tested.
  ASSERT_EQ(kill(runner, SIGKILL), 0);
  ASSERT_EQ(waitpid(runner, nullptr, 0), runner);
  EXPECT_TRUE(holds_within(milliseconds(20'000), nothing_left)) << delay.count() << " ms";
}

TEST_F(GuardianTest, NothingOutlivesAKilledRunner) {
  const std::vector<std::string> command = find_agent("python").words;
  const std::set<std::string> before = semaphores();
  for (const int delay_ms : {0, 1, 3, 10, 50, 100, 200, 400, 700, 1000, 1500}) {
    kill_runner_after(milliseconds(delay_ms), directory_, command,
                      [this] { return nothing_left(); });
  }
  // Those of other programs go in their time; what we have left behind would stay.
  for (const std::string& name : semaphores()) {
    if (before.contains(name)) continue;
    EXPECT_TRUE(holds_within(milliseconds(60'000), [&] { return !semaphores().contains(name); }))
        << name;
  }
}

TEST_F(GuardianTest, NothingOutlivesAnOrdinaryEnd) {
  const std::string private_directory = directory_ + "/p";
  std::filesystem::create_directories(private_directory + "/a/b");
  std::ofstream(private_directory + "/a/b/file") << "x";
  std::filesystem::create_symlink("/", private_directory + "/root");
  {
    Guardian guardian(
        {"/bin/sh", "-c", "sleep 1000 & (sleep 1000 &) ; echo said; sleep 1000", directory_},
        private_directory, directory_ + "/log");
    EXPECT_GT(guardian.start_member(), 0);
    EXPECT_TRUE(holds_within(milliseconds(10'000),
                             [&] { return text_of(directory_ + "/log") == "said\n"; }));
    EXPECT_GE(processes_about(directory_), 1);
  }
  EXPECT_EQ(processes_about(directory_), 0);
  EXPECT_FALSE(std::filesystem::exists(private_directory));
  EXPECT_TRUE(std::filesystem::exists("/bin/sh"));  // The link was removed, not followed.
}

TEST_F(GuardianTest, AMissingCommandIsTold) {
  Guardian guardian({"/nowhere/agent"}, directory_ + "/p", directory_ + "/log");
  try {
    guardian.start_member();
    FAIL() << "it must throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
  }
}

TEST_F(GuardianTest, AKilledGuardianIsTold) {
  Guardian guardian({"/bin/sh", "-c", "sleep 1000", directory_}, directory_ + "/p",
                    directory_ + "/log");
  EXPECT_GT(guardian.start_member(), 0);
  kill(guardian.pid(), SIGKILL);
  EXPECT_THROW(guardian.start_member(), std::system_error);
  // Members it started itself end with it.
  EXPECT_TRUE(
      holds_within(milliseconds(10'000), [this] { return processes_about(directory_) == 0; }));
}

}  // namespace
}  // namespace hobbs
