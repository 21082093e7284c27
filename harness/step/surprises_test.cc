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
#include <time.h>
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

template <class Holds>
bool comes(Holds holds) {
  for (int i = 0; i < kMomentsMax && !holds(); ++i) pass_a_moment();
  return holds();
}

bool falls_asleep(pid_t pid) {
  return comes([pid] { return state_of(pid) == 'S'; });
}

/// Zeroed, for this process and those that it forks; null: the system refuses.
template <class T>
T* shared_memory() {
  void* at =
      ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
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
  auto* room = shared_memory<Room>();
  ASSERT_NE(room, nullptr);
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
  auto* room = shared_memory<Room>();
  ASSERT_NE(room, nullptr);
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
  ASSERT_TRUE(comes([&] { return room->locked; }));
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

struct Hall {
  pthread_rwlock_t lock;
  volatile bool may_leave, writer_is_in, writer_has_left, late_reader_is_in;
  unsigned readers() const { return *const_cast<const volatile unsigned*>(&lock.__data.__readers); }
  unsigned writers() const { return *const_cast<const volatile unsigned*>(&lock.__data.__writers); }
};

template <class Does>
pid_t start(Does does) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  does();
  ::_exit(0);
}

/// Steps a stopped child, instruction by instruction, until `holds`.
template <class Holds>
bool steps_until(pid_t pid, Holds holds) {
  while (!holds()) {
    int status = 0;
    if (::ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr) != 0) return false;
    if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) return false;
  }
  return true;
}

// The last reader of glibc's rwlock begins the write phase in `readers` and says so in
// `wrphase_futex` afterwards. If the writer that waits for it (of a kind that prefers writers) gives
// up by its deadline meanwhile, it hands the lock over to another, which sees the write phase and
// does not wait for that word either. It may leave again before the word is written: then the word
// tells of a write phase in the middle of a read phase, and a reader that has registered already
// sleeps for ever beside a lock that any other reader gets. Found by `hobbs step --locks
// 'pthread.rwlock_*writer*'`, four processes, 51 transitions.
TEST(Surprises, GlibcsRwlockLosesAReaderWhenAWriterGivesUp) {
  if (std::string(gnu_get_libc_version()) != "2.36") {
    GTEST_SKIP() << "examined in glibc 2.36, this is " << gnu_get_libc_version();
  }
  constexpr unsigned kWritePhase = 1, kWriteLocked = 2, kOneReader = 8;
  auto* hall = shared_memory<Hall>();
  ASSERT_NE(hall, nullptr);
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&hall->lock, &attributes);

  const pid_t first_reader = start([hall] {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    pthread_rwlock_rdlock(&hall->lock);
    ::raise(SIGSTOP);
    pthread_rwlock_unlock(&hall->lock);
  });
  int status = 0;
  ASSERT_EQ(::waitpid(first_reader, &status, 0), first_reader);
  if (!WIFSTOPPED(status)) GTEST_SKIP() << "no permission to trace";
  const pid_t impatient = start([hall] {
    timespec deadline{};
    ::clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 4;
    if (pthread_rwlock_timedwrlock(&hall->lock, &deadline) == 0) ::_exit(1);
  });
  ASSERT_TRUE(comes([&] { return hall->readers() == kOneReader + kWriteLocked; }));
  ASSERT_TRUE(falls_asleep(impatient));
  ASSERT_TRUE(steps_until(first_reader,
                          [&] { return hall->readers() == kWritePhase + kWriteLocked; }));

  const pid_t writer = start([hall] {
    pthread_rwlock_wrlock(&hall->lock);
    hall->writer_is_in = true;
    comes([hall] { return hall->may_leave; });
    pthread_rwlock_unlock(&hall->lock);
    hall->writer_has_left = true;
  });
  const bool in_time = comes([&] { return hall->writers() == 1; }) &&
                       ::waitpid(impatient, &status, WNOHANG) == 0;
  if (!in_time) {
    for (const pid_t pid : {first_reader, writer}) ::kill(pid, SIGKILL);
    GTEST_SKIP() << "this machine is too busy: the deadline passed before the second writer came";
  }
  ::waitpid(impatient, &status, 0);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "it gives up, and hands over";
  ASSERT_TRUE(comes([&] { return hall->writer_is_in; }));
  const pid_t late_reader = start([hall] {
    pthread_rwlock_rdlock(&hall->lock);
    hall->late_reader_is_in = true;
  });
  ASSERT_TRUE(comes([&] { return hall->readers() >= kOneReader; }));
  ::kill(late_reader, SIGSTOP);
  ASSERT_TRUE(comes([&] { return state_of(late_reader) == 'T'; }));
  hall->may_leave = true;
  ASSERT_TRUE(comes([&] { return hall->writer_has_left; }));
  ::waitpid(writer, &status, 0);
  ASSERT_EQ(hall->readers(), kOneReader) << "a read phase, and the late reader is of it";
  ::ptrace(PTRACE_DETACH, first_reader, nullptr, nullptr);  // It tells of a write phase at last.
  ::waitpid(first_reader, &status, 0);
  ::kill(late_reader, SIGCONT);

  ASSERT_TRUE(falls_asleep(late_reader));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(pthread_rwlock_rdlock(&hall->lock), 0) << "others come and go";
    EXPECT_EQ(pthread_rwlock_unlock(&hall->lock), 0);
    pass_a_moment();
  }
  EXPECT_FALSE(hall->late_reader_is_in);
  EXPECT_EQ(state_of(late_reader), 'S') << "asleep in a read phase";
  ::kill(late_reader, SIGKILL);
  ::waitpid(late_reader, &status, 0);
  ::munmap(hall, sizeof(Hall));
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
