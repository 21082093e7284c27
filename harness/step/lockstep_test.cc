// The model against the machine, in lockstep: the same schedule by modelled and by real processes,
// registers and shared memory compared at every scheduling point. First the other libraries' locks;
// then the system calls themselves, as random sequences of them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "harness/step/native.h"
#include "harness/step/programs.h"
#include "harness/step/step_driver.h"
#include "locks/adapters/adapters.h"
#include "locks/spec_of.h"

namespace hobbs::step {
namespace {

constexpr int kTransitionsMax = 300;

class Lockstep : public testing::Test {
 protected:
  Lockstep() {
    const char* base = std::getenv("TEST_TMPDIR");
    directory_ = std::string(base != nullptr ? base : "/tmp") + "/step.XXXXXX";
    if (::mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("no folder");
  }
  ~Lockstep() override {
    std::printf("%lu paths, %lu points, %lu instructions, %lu registers compared, 0 differences\n",
                paths_, points_, instructions_, registers_);
    std::filesystem::remove_all(directory_);
  }

  /// A random schedule, without the choices that a real machine does not leave to us: nobody can
  /// be made to wake for no reason, and who is woken by a file lock's release asks again inside the
  /// kernel, at once, those that have slept longest first.
  static std::vector<Transition> random_path(World& world, std::mt19937_64& random) {
    std::vector<Transition> path, enabled;
    std::vector<std::uint8_t> woken;
    State state = world.initial();
    for (int i = 0; i < kTransitionsMax && !World::is_final(state.head); ++i) {
      world.enabled(state, enabled);
      std::erase_if(enabled, [](const Transition& transition) {
        return transition.kind == Transition::Kind::kSpurious;
      });
      if (enabled.empty()) break;
      Transition chosen = enabled[random() % enabled.size()];
      // Most deaths late, when there is somebody whom they concern.
      if (chosen.kind == Transition::Kind::kKill && random() % 8 != 0) continue;
      if (!woken.empty()) {
        chosen = {Transition::Kind::kRun, woken.front()};
        woken.erase(woken.begin());
      }
      State next = state;
      if (world.step(next, chosen).kind == Incident::Kind::kUnknown) break;
      path.push_back(chosen);
      note_woken(state.head, next.head, chosen.worker, woken);
      state = next;
    }
    return path;
  }

  static void note_woken(const Head& before, const Head& after, std::size_t mover,
                         std::vector<std::uint8_t>& woken) {
    const std::size_t known = woken.size();
    for (std::uint8_t w = 0; w < before.count; ++w) {
      const WorkerHead& was = before.workers[w];
      if (w != mover && was.phase == Phase::kAsleep && channel::retries(was.channel) &&
          after.workers[w].phase == Phase::kInCall) {
        woken.push_back(w);
      }
    }
    std::sort(woken.begin() + static_cast<std::ptrdiff_t>(known), woken.end(),
              [&before](std::uint8_t a, std::uint8_t b) {
                return before.workers[a].order < before.workers[b].order;
              });
  }

  /// False if real processes cannot be had here.
  bool compare(const LockSpec& lock, const Program& program, WorldOptions options, int paths) {
    if (lock.home == Home::kPath) options.path = directory_ + "/lock";
    World world(lock, program, options);
    for (int i = 0; i < paths; ++i) {
      const std::vector<Transition> path = random_path(world, random_);
      const NativeReport report = run_natively(world, path, false);
      if (report.end == NativeReport::End::kRefused) return false;
      EXPECT_EQ(report.end, NativeReport::End::kReproduced)
          << lock.name << ": " << report.reason << "\n"
          << to_text(program) << "\n"
          << to_text(path);
      ++paths_;
      points_ += report.points;
      registers_ += report.registers_compared;
      instructions_ += report.instructions;
    }
    return true;
  }

  std::string directory_;
  std::mt19937_64 random_{20261126};
  std::uint64_t paths_ = 0, points_ = 0, registers_ = 0, instructions_ = 0;
};

TEST_F(Lockstep, TheLibrariesLocksDoTheSameOnTheModelAndTheMachine) {
  StepDriver driver;
  for (const LockSpec& lock : adapter_catalog()) {
    if (!driver.unfit(lock).empty()) continue;
    for (const NamedProgram& program : step_programs(lock, 0, 0, 0)) {
      if (program.program.workers.size() > 3 || program.name == "3x2-death") continue;
      const WorldOptions options{.kills = program.kills, .signals = 0};
      if (!compare(lock, program.program, options, 2)) GTEST_SKIP() << "no permission to trace";
    }
  }
}

// Locks that are none: each of their calls is one system call, and says what it returned.

Outcome said(long result) {
  const long value = result < 0 ? -errno : result;
  switch (value) {
    case 0: return Outcome::kBusy;
    case 1: return Outcome::kTimedOut;
    case 2: return Outcome::kInterrupted;
    case -EAGAIN: return Outcome::kNotOwner;
    case -ETIMEDOUT: return Outcome::kNotLocked;
    case -EDEADLK: return Outcome::kDeadlock;
    case -EPERM: return Outcome::kOverRelease;
    case -EINTR: return Outcome::kReentryRefused;
    default: return Outcome::kSystemError;
  }
}

struct FutexCalls {
  std::atomic<std::uint32_t> word{1}, other{0};  // Waiting for 0 does not sleep at first.
  long call(std::atomic<std::uint32_t>& at, int operation, std::uint32_t value,
            const timespec* until = nullptr) {
    return ::syscall(SYS_futex, &at, operation, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
  }
  Outcome lock() { return said(call(word, FUTEX_WAIT, 0)); }
  Outcome try_lock() { return said(call(word, FUTEX_WAKE, 1)); }
  Outcome try_lock_until(SteadyTime) {
    const timespec late{4'000'000'000, 0};
    return said(call(word, FUTEX_WAIT_BITSET, 0, &late));
  }
  void unlock() {}
  Outcome lock_shared() { return said(call(word, FUTEX_WAKE, 2)); }
  Outcome try_lock_shared() {
    word.fetch_xor(1);
    return said(call(other, FUTEX_WAKE, 1));
  }
  Outcome try_lock_shared_until(SteadyTime) { return said(call(word, FUTEX_WAKE_PRIVATE, 1)); }
  void unlock_shared() {}
};

struct PriorityCalls {
  std::atomic<std::uint32_t> word{0};
  long call(int operation) {
    return ::syscall(SYS_futex, &word, operation, 0, nullptr, nullptr, 0);
  }
  Outcome lock() { return said(call(FUTEX_LOCK_PI)); }
  Outcome try_lock() { return said(call(FUTEX_TRYLOCK_PI)); }
  Outcome lock_shared() { return said(call(FUTEX_UNLOCK_PI)); }
  Outcome try_lock_shared() { return said(call(FUTEX_UNLOCK_PI)); }
  void unlock() {}
  void unlock_shared() {}
};

/// A futex word and the robust list of who dies: entries, the pending one and the word's owner and
/// waiters are set at random, in the C library's layout.
struct RobustCalls {
  std::atomic<std::uint32_t> word{0};
  std::uint32_t padding[7];
  robust_list entry{nullptr};  // 32 bytes behind its word, as the C library's head says.

  static robust_list_head& head() {
    robust_list_head* mine = nullptr;
    std::size_t bytes = 0;
    ::syscall(SYS_get_robust_list, 0, &mine, &bytes);
    return *mine;
  }
  static std::uint32_t self() { return static_cast<std::uint32_t>(::syscall(SYS_gettid)); }

  Outcome lock() {
    const std::uint32_t announced = word.load() | FUTEX_WAITERS;  // Not so at first.
    return said(::syscall(SYS_futex, &word, FUTEX_WAIT, announced, nullptr, nullptr, 0));
  }
  Outcome try_lock() {
    const bool empty = head().list.next == &head().list;
    entry.next = &head().list;
    std::atomic_signal_fence(std::memory_order_seq_cst);  // The kernel may come at any moment.
    head().list.next = empty ? &entry : &head().list;
    return Outcome::kBusy;
  }
  Outcome try_lock_until(SteadyTime) {
    head().list_op_pending = head().list_op_pending == nullptr ? &entry : nullptr;
    return Outcome::kBusy;
  }
  void unlock() {}
  Outcome lock_shared() {
    word.store(self() | (word.load() & FUTEX_WAITERS));
    return Outcome::kBusy;
  }
  Outcome try_lock_shared() {
    word.fetch_xor(FUTEX_WAITERS);
    return Outcome::kBusy;
  }
  Outcome try_lock_shared_until(SteadyTime) {
    word.store((word.load() & FUTEX_WAITERS) | (~word.load() & FUTEX_OWNER_DIED));
    return Outcome::kBusy;
  }
  void unlock_shared() {}
};
static_assert(offsetof(RobustCalls, entry) == 32);

/// Whatever a file lock's calls return is told, so that unlocking what is not held is tried too.
template <int (*set)(int descriptor, int wanted, bool waits)>
struct FileCalls {
  int descriptor;
  explicit FileCalls(const char* path) : descriptor(::open(path, O_RDWR | O_CREAT, 0600)) {}
  ~FileCalls() { ::close(descriptor); }
  Outcome lock() { return said(set(descriptor, 0, false) + set(descriptor, 2, true)); }
  Outcome try_lock() { return said(set(descriptor, 2, false)); }
  Outcome lock_shared() { return said(set(descriptor, 0, false) + set(descriptor, 1, true)); }
  Outcome try_lock_shared() { return said(set(descriptor, 1, false)); }
  Outcome try_lock_until(SteadyTime) { return said(set(descriptor, 0, false)); }
  Outcome try_lock_shared_until(SteadyTime) { return said(set(descriptor, 0, false)); }
  void unlock() {}
  void unlock_shared() {}
};
int set_record(int descriptor, int wanted, bool waits) {
  constexpr short kTypes[] = {F_UNLCK, F_RDLCK, F_WRLCK};
  struct flock whole {};
  whole.l_type = kTypes[wanted];
  return ::fcntl(descriptor, waits ? F_OFD_SETLKW : F_OFD_SETLK, &whole);
}
int set_process_record(int descriptor, int wanted, bool waits) {
  constexpr short kTypes[] = {F_UNLCK, F_RDLCK, F_WRLCK};
  struct flock whole {};
  whole.l_type = kTypes[wanted];
  return ::fcntl(descriptor, waits ? F_SETLKW : F_SETLK, &whole);
}

Program random_program(const LockSpec& lock, std::mt19937_64& random) {
  Program program;
  for (int w = 0; w < 3; ++w) {
    std::vector<hobbs::Step> steps;
    const std::size_t count = 2 + random() % 4;
    while (steps.size() < count) {
      constexpr Verb kVerbs[] = {Verb::kAcquire, Verb::kTry, Verb::kTimed};
      const hobbs::Step step{kVerbs[random() % 3],
                             random() % 2 == 0 ? Mode::kExclusive : Mode::kShared, 0, 0};
      Program one;
      one.workers = {{step}};
      if (World::can_run(lock, one)) steps.push_back(step);
    }
    program.workers.push_back(std::move(steps));
  }
  // A world makes each call that a program has once for real; the last unlocks FileCalls.
  const hobbs::Step last{Verb::kTimed, Mode::kShared, 0, 0};
  Program one;
  one.workers = {{last}};
  if (World::can_run(lock, one)) program.workers[0].push_back(last);
  return program;
}

class KernelCalls : public Lockstep {
 protected:
  void compare_random_calls(const LockSpec& lock, unsigned kills, unsigned signals) {
    for (int i = 0; i < 25; ++i) {
      const WorldOptions options{.kills = kills, .signals = signals};
      if (!compare(lock, random_program(lock, random_), options, 2)) {
        GTEST_SKIP() << "no permission to trace";
      }
    }
  }
};

TEST_F(KernelCalls, FutexesDoAsTheKernelDoes) {
  compare_random_calls(spec_of<FutexCalls>("futex"), 0, 0);
  compare_random_calls(spec_of<FutexCalls>("futex"), 1, 1);
}

TEST_F(KernelCalls, RobustListsDoAsTheKernelDoes) {
  ASSERT_EQ(RobustCalls::head().futex_offset, -32);
  for (unsigned i = 0; i < 8; ++i) {
    compare_random_calls(spec_of<RobustCalls>("robust list"), 1 + i % 2, 0);
  }
}

TEST_F(KernelCalls, PriorityInheritingFutexesDoAsTheKernelDoes) {
  compare_random_calls(spec_of<PriorityCalls>("priority-inheriting futex"), 0, 0);
}

TEST_F(KernelCalls, FileLocksDoAsTheKernelDoes) {
  compare_random_calls(path_spec_of<FileCalls<set_record>>("ofd"), 1, 0);
  compare_random_calls(path_spec_of<FileCalls<set_process_record>>("fcntl"), 1, 0);
}

}  // namespace
}  // namespace hobbs::step
