// One lock between this process and a live Python process, both ways: named semaphores of
// multiprocessing, file locks of fasteners. Skipped where Debian's python3 is not there.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "locks/reference/testing.h"
#include "locks/seeds/inter_process_lock.h"
#include "locks/seeds/inter_process_reader_writer_lock.h"
#include "locks/seeds/process_lock.h"
#include "locks/seeds/process_reentrant_lock.h"
#include "locks/seeds/process_semaphore.h"

namespace hobbs {
namespace {

constexpr char kPython[] = "/usr/bin/python3";
constexpr int kAnswerMsMax = 60'000;

/// A Python process that evaluates one expression a line and answers with its str(), or the name
/// of the exception's class.
constexpr char kServe[] = R"(
import sys
names = {}
print('ready', flush=True)
for line in sys.stdin:
    try:
        if line.startswith('!'):
            exec(line[1:], names)
            answer = 'done'
        else:
            answer = str(eval(line, names))
    except Exception as error:
        answer = type(error).__name__
    print(answer, flush=True)
)";

class Python {
 public:
  Python() {
    int to[2], from[2];
    if (::pipe(to) != 0 || ::pipe(from) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(to[0], 0);
      ::dup2(from[1], 1);
      for (const int end : {to[0], to[1], from[0], from[1]}) ::close(end);
      ::alarm(120);  // It must not outlive the test.
      ::execl(kPython, kPython, "-c", kServe, nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
    ready_ = answer() == "ready";
  }
  /// Python ends at the end of its input, and tidies up after itself.
  ~Python() {
    ::close(to_);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    ::close(from_);
  }
  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;

  bool ready() const { return ready_; }
  std::string ask(const std::string& expression) {
    tell(expression);
    return answer();
  }
  bool run(const std::string& statement) { return ask("!" + statement) == "done"; }
  void tell(const std::string& expression) {
    const std::string line = expression + "\n";
    if (::write(to_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
  }
  /// "" if there is none.
  std::string answer() {
    std::string line;
    char byte;
    while (has_answered(kAnswerMsMax) && ::read(from_, &byte, 1) == 1) {
      if (byte == '\n') return line;
      line += byte;
    }
    return "";
  }
  bool has_answered(int within_ms) const {
    pollfd from{.fd = from_, .events = POLLIN, .revents = 0};
    return ::poll(&from, 1, within_ms) == 1;
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1;
  bool ready_ = false;
};

/// No answer for so long shows that a call waits; an answer would be an error however late.
constexpr int kStillWaitingMs = 50;

class PythonTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!python_.ready()) GTEST_SKIP() << "there is no " << kPython;
  }
  Python python_;
};

class Multiprocessing : public PythonTest {
 protected:
  void SetUp() override {
    PythonTest::SetUp();
    if (IsSkipped()) return;
    ASSERT_TRUE(python_.run("import multiprocessing.synchronize as s, multiprocessing as mp"));
    // As unpickling does it in a spawned child: no tracker, no clean-up of a name not its own.
    ASSERT_TRUE(
        python_.run("attach = lambda c, k, m, n: (lambda o: "
                    "(o.__setstate__((0, k, m, n)), o)[1])(c.__new__(c))"));
  }
};

TEST_F(Multiprocessing, ALockThatPythonMadeIsOursByItsName) {
  ASSERT_TRUE(python_.run("L = mp.get_context('spawn').Lock()"));
  NamedProcessLock lock(NamedSemaphore::open(python_.ask("L._semlock.name")));
  EXPECT_TRUE(lock.acquire());
  EXPECT_EQ(python_.ask("L.acquire(False)"), "False");
  EXPECT_EQ(python_.ask("L.acquire(timeout=0.05)"), "False");
  python_.tell("L.acquire()");
  EXPECT_FALSE(python_.has_answered(kStillWaitingMs));
  lock.release();
  EXPECT_EQ(python_.answer(), "True");
  EXPECT_FALSE(lock.acquire(false));
  EXPECT_FALSE(lock.acquire(true, Seconds(0.05)));
  python_.tell("__import__('time').sleep(0.05) or L.release()");
  EXPECT_TRUE(lock.acquire());
  EXPECT_EQ(python_.answer(), "None");
  EXPECT_EQ(python_.ask("L.release()"), "None") << "anyone releases";
  EXPECT_EQ(python_.ask("L.release()"), "ValueError");
  EXPECT_EQ(testing::refusal([&] { lock.release(); }), LockErrorKind::kOverRelease);
}

TEST_F(Multiprocessing, ALockThatWeMadeIsPythonsByItsName) {
  NamedSemaphore semaphore = NamedSemaphore::create_unique(1);
  ASSERT_TRUE(python_.run("L = attach(s.Lock, 1, 1, '" + semaphore.name() + "')"));
  NamedProcessLock lock(std::move(semaphore));
  EXPECT_EQ(python_.ask("L.acquire()"), "True");
  EXPECT_FALSE(lock.acquire(true, Seconds(0.05)));
  lock.release();
  EXPECT_TRUE(lock.acquire());
  python_.tell("L.acquire(True, 60)");
  EXPECT_FALSE(python_.has_answered(kStillWaitingMs));
  lock.release();
  EXPECT_EQ(python_.answer(), "True");
  python_.kill();
  EXPECT_FALSE(lock.acquire(true, Seconds(0.05))) << "a dead holder's lock stays locked";
}

TEST_F(Multiprocessing, ReentrantLocksShowEachOtherThatTheyAreHeld) {
  NamedSemaphore semaphore = NamedSemaphore::create_unique(1);
  ASSERT_TRUE(python_.run("L = attach(s.RLock, 0, 1, '" + semaphore.name() + "')"));
  NamedProcessReentrantLock lock(std::move(semaphore));
  EXPECT_TRUE(lock.acquire() && lock.acquire());
  lock.release();
  EXPECT_EQ(python_.ask("L.acquire(False)"), "False");
  EXPECT_EQ(python_.ask("L.release()"), "AssertionError");
  lock.release();
  EXPECT_EQ(python_.ask("L.acquire() and L.acquire()"), "True");
  EXPECT_FALSE(lock.acquire(false));
  EXPECT_EQ(testing::refusal([&] { lock.release(); }), LockErrorKind::kNotOwner);
  EXPECT_EQ(python_.ask("L.release() or L.release()"), "None");
  EXPECT_TRUE(lock.acquire(false));
}

TEST_F(Multiprocessing, SemaphoresCountTogetherAndKeepTheirBound) {
  NamedSemaphore semaphore = NamedSemaphore::create_unique(2);
  ASSERT_TRUE(python_.run("S = attach(s.Semaphore, 1, 2, '" + semaphore.name() + "')"));
  NamedProcessSemaphore ours(std::move(semaphore), 2);
  EXPECT_EQ(python_.ask("S.acquire()"), "True");
  EXPECT_TRUE(ours.acquire());
  EXPECT_EQ(python_.ask("S.acquire(False)"), "False");
  EXPECT_FALSE(ours.acquire(false));
  ours.release();
  EXPECT_EQ(python_.ask("S.get_value()"), "1");
  EXPECT_EQ(python_.ask("S.release()"), "None");
  EXPECT_EQ(python_.ask("S.release()"), "ValueError");
  EXPECT_EQ(testing::refusal([&] { ours.release(); }), LockErrorKind::kOverRelease);
}

class Fasteners : public PythonTest {
 protected:
  void SetUp() override {
    PythonTest::SetUp();
    if (IsSkipped()) return;
    if (!python_.run("import fasteners")) GTEST_SKIP() << "python3-fasteners is not there";
    const char* parent = std::getenv("TEST_TMPDIR");
    folder_ = std::string(parent != nullptr ? parent : "/tmp") + "/hobbs-XXXXXX";
    if (::mkdtemp(folder_.data()) == nullptr) std::abort();
    path_ = folder_ + "/made/lock";
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  std::string folder_, path_;
};

TEST_F(Fasteners, InterProcessLocksExcludeEachOther) {
  InterProcessLock<RealPlatform> lock(path_);
  ASSERT_TRUE(python_.run("L = fasteners.InterProcessLock('" + path_ + "')"));
  EXPECT_TRUE(lock.acquire());
  EXPECT_EQ(python_.ask("L.acquire(blocking=False)"), "False");
  python_.tell("L.acquire()");
  EXPECT_FALSE(python_.has_answered(kStillWaitingMs));
  lock.release();
  EXPECT_EQ(python_.answer(), "True");
  EXPECT_FALSE(lock.acquire({.blocking = false}));
  EXPECT_FALSE(lock.acquire({.timeout = Seconds(0.05)}));
  python_.tell("__import__('time').sleep(0.05) or L.release()");
  EXPECT_TRUE(lock.acquire());
  EXPECT_EQ(python_.answer(), "None");
  lock.release();
  EXPECT_EQ(python_.ask("L.acquire()"), "True");
  python_.kill();
  EXPECT_TRUE(lock.acquire()) << "the kernel frees a dead holder's lock";
}

TEST_F(Fasteners, ReaderWriterLocksShareAndExclude) {
  InterProcessReaderWriterLock<RealPlatform> lock(path_);
  ASSERT_TRUE(python_.run("L = fasteners.InterProcessReaderWriterLock('" + path_ + "')"));
  {
    const auto reading = lock.read_lock();
    EXPECT_EQ(python_.ask("L.acquire_read_lock(blocking=False)"), "True");
    EXPECT_FALSE(lock.try_upgrade()) << "Python reads, too";
    EXPECT_EQ(python_.ask("L.release_read_lock()"), "None");
    EXPECT_EQ(python_.ask("L.acquire_write_lock(blocking=False)"), "False");
    python_.tell("L.acquire_write_lock()");
    EXPECT_FALSE(python_.has_answered(kStillWaitingMs));
  }
  EXPECT_EQ(python_.answer(), "True");
  EXPECT_FALSE(lock.acquire_read_lock({.timeout = Seconds(0.02)}));
  EXPECT_EQ(python_.ask("L.acquire_read_lock()"), "True") << "converts";
  EXPECT_TRUE(lock.acquire_read_lock());
  EXPECT_FALSE(lock.acquire_write_lock({.blocking = false}));
}

}  // namespace
}  // namespace hobbs
