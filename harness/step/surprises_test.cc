// What step found in libraries that everybody trusts, shown by plain programs on the real kernel,
// without any of step's machinery.
#include <gnu/libc-version.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/interprocess/sync/named_mutex.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

namespace {

constexpr std::chrono::milliseconds kMoment{2};
constexpr int kMomentsMax = 5000;

void pass_a_moment() {
  std::this_thread::sleep_for(kMoment);  // tidy: between looks at another process, no event is told
}

/// 'S' asleep, 'R' running, 't' stopped by its tracer, 'Z' ended.
char state_of(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  char text[512] = {};
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return '?';
  const std::size_t length = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  text[length] = 0;
  const char* state = std::strrchr(text, ')');
  return state == nullptr ? '?' : state[2];
}

bool falls_asleep(pid_t pid) {
  for (int i = 0; i < kMomentsMax && state_of(pid) != 'S'; ++i) {
    pass_a_moment();
  }
  return state_of(pid) == 'S';
}

struct Room {
  pthread_mutex_t mutex;
  volatile bool locked;
  volatile bool second_is_in;
};

/// Lets a traced child run to the entry of its next futex system call.
bool stops_before_futex(pid_t pid) {
  for (;;) {
    int status = 0;
    if (::ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr) != 0) return false;
    if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return false;
    user_regs_struct registers{};
    ::ptrace(PTRACE_GETREGS, pid, nullptr, &registers);
    if (registers.orig_rax == SYS_futex) return true;
  }
}

// A releaser of glibc's robust mutex clears the word, then wakes. If it dies in between, the kernel
// wakes for it (list_op_pending), but only if the word is still zero. A third process that has
// taken the mutex meanwhile has no waiters bit in its word, so its release wakes nobody either: the
// first sleeper sleeps for ever beside a free mutex. pthread_mutexattr_setrobust(3) promises that
// attempts to lock after the owner's death succeed.
TEST(Surprises, GlibcsRobustMutexLosesAWakeToAThirdProcess) {
  if (std::string(gnu_get_libc_version()) != "2.36") {
    GTEST_SKIP() << "examined in glibc 2.36, this is " << gnu_get_libc_version();
  }
  auto* room = static_cast<Room*>(
      ::mmap(nullptr, sizeof(Room), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(room, MAP_FAILED);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&room->mutex, &attributes);

  const pid_t first = ::fork();
  if (first == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    pthread_mutex_lock(&room->mutex);
    room->locked = true;
    ::raise(SIGSTOP);
    pthread_mutex_unlock(&room->mutex);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(first, &status, 0), first);
  if (!WIFSTOPPED(status)) GTEST_SKIP() << "no permission to trace";
  ASSERT_TRUE(room->locked);

  const pid_t second = ::fork();
  if (second == 0) {
    pthread_mutex_lock(&room->mutex);
    room->second_is_in = true;
    ::_exit(0);
  }
  ASSERT_TRUE(falls_asleep(second));

  ASSERT_TRUE(stops_before_futex(first));  // The word is zero; the wake has not happened.
  ASSERT_EQ(pthread_mutex_lock(&room->mutex), 0) << "we are the third, and barge in";
  ::kill(first, SIGKILL);
  ::waitpid(first, &status, 0);
  ASSERT_EQ(pthread_mutex_unlock(&room->mutex), 0);

  // The mutex is free, and others come and go; the second process is not told.
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(pthread_mutex_lock(&room->mutex), 0);
    EXPECT_EQ(pthread_mutex_unlock(&room->mutex), 0);
    pass_a_moment();
  }
  EXPECT_EQ(room->mutex.__data.__lock, 0);
  EXPECT_FALSE(room->second_is_in);
  EXPECT_EQ(state_of(second), 'S') << "asleep beside a free mutex";
  ::kill(second, SIGKILL);
  ::waitpid(second, &status, 0);
  ::munmap(room, sizeof(Room));
}

// A mutex that is not robust stalls when its owner dies: "no special actions are taken"
// (pthread_mutexattr_setrobust(3)). If it inherits priority, the kernel passes it on to a waiter
// all the same, marked by the death, and the waiter's pthread_mutex_lock() ends its process by a
// failed assertion.
TEST(Surprises, GlibcsPriorityInheritingMutexAbortsAWaiterWhenItsOwnerDies) {
  if (std::string(gnu_get_libc_version()) != "2.36") {
    GTEST_SKIP() << "examined in glibc 2.36, this is " << gnu_get_libc_version();
  }
  auto* room = static_cast<Room*>(
      ::mmap(nullptr, sizeof(Room), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(room, MAP_FAILED);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
  pthread_mutex_init(&room->mutex, &attributes);
  const pid_t owner = ::fork();
  if (owner == 0) {
    pthread_mutex_lock(&room->mutex);
    room->locked = true;
    for (;;) ::pause();
  }
  for (int i = 0; i < kMomentsMax && !room->locked; ++i) pass_a_moment();
  const pid_t waiter = ::fork();
  if (waiter == 0) {
    std::fclose(stderr);  // Its last words are known.
    pthread_mutex_lock(&room->mutex);
    ::_exit(0);
  }
  const bool asleep = falls_asleep(waiter);
  int status = 0;
  ::kill(owner, SIGKILL);
  ::waitpid(owner, &status, 0);
  ::waitpid(waiter, &status, 0);
  ::munmap(room, sizeof(Room));
  ASSERT_TRUE(asleep);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
}

// Boost's named mutex is a POSIX semaphore here; where sem_wait() is ended by a signal, its lock()
// throws, though nothing in its documentation says so.
TEST(Surprises, BoostsNamedMutexThrowsWhenASignalEndsItsWait) {
  namespace bip = boost::interprocess;
  const std::string name = "hobbs.surprise." + std::to_string(::getpid());
  bip::named_mutex::remove(name.c_str());
  bip::named_mutex mutex(bip::create_only, name.c_str());
  mutex.lock();
  const pid_t child = ::fork();
  if (child == 0) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    try {
      mutex.lock();
    } catch (const bip::interprocess_exception&) {
      ::_exit(42);
    }
    ::_exit(0);
  }
  const bool asleep = falls_asleep(child);
  ::kill(child, SIGUSR1);
  int status = 0;
  ::waitpid(child, &status, 0);
  mutex.unlock();
  bip::named_mutex::remove(name.c_str());
  ASSERT_TRUE(asleep);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42) << "lock() threw";
}

}  // namespace
