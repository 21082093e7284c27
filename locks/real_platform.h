// The machine itself as a Platform: std::atomic, the futex system call, CLOCK_MONOTONIC.
//
// The worker registry behind self() and alive() lives in one anonymous shared mapping that every
// process forked after first use inherits. futex(2) is the source of the waiting semantics.
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "locks/platform.h"

namespace hobbs {

struct RealPlatform {
  template <class T>
  using atomic = std::atomic<T>;
  enum class wait_result { woken, mismatch, timed_out, interrupted };
  using time_point = SteadyTime;

  /// Makes the caller worker `id` (1..kMaxWorkers) until it ends or attaches anew. To be called
  /// once in each thread that uses a lock, after any fork. Async-signal-safe once `registry()`
  /// has been touched by an ancestor.
  static void attach(std::uint32_t id) {
    self_id() = id;
    registry().started[id].store(0);
    registry().process[id].store(static_cast<std::int32_t>(::getpid()));
    registry().thread[id].store(static_cast<std::int32_t>(::syscall(SYS_gettid)));
    const Task me = task_at("/proc/thread-self/stat");
    registry().started[id].store(me.running ? me.started : 0);
  }
  static std::uint32_t self() { return self_id(); }
  static std::uint32_t pid() { return static_cast<std::uint32_t>(::getpid()); }

  /// Whether worker `id` still runs; a zombie counts as dead, and so does a worker whose number
  /// another task has now, which began later.
  static bool alive(std::uint32_t id) {
    if (id == 0 || id > kMaxWorkers) return false;
    const std::int32_t thread = registry().thread[id].load();
    return thread != 0 && task_is_running(registry().process[id].load(), thread, id);
  }

  static time_point now() { return std::chrono::steady_clock::now(); }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
    // A spinner that fills its time slice starves the holder on a machine with few cores.
    static thread_local std::uint8_t spins = 0;
    spins = (spins + 1) % 64;
    if (spins == 0) ::sched_yield();
  }
  static void yield() { ::sched_yield(); }
  static void fence(std::memory_order order) {
#if defined(__SANITIZE_THREAD__)
    static std::atomic<int> meeting_place{0};  // ThreadSanitizer knows no fences.
    meeting_place.fetch_add(0, std::memory_order_seq_cst);
    static_cast<void>(order);
#else
    std::atomic_thread_fence(order);
#endif
  }

  static wait_result futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                                std::optional<time_point> deadline = std::nullopt) {
    return wait(word, expected, deadline, 0);
  }
  static wait_result futex_wait_private(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                                        std::optional<time_point> deadline = std::nullopt) {
    return wait(word, expected, deadline, FUTEX_PRIVATE_FLAG);
  }
  static int futex_wake(std::atomic<std::uint32_t>& word, int n) { return wake(word, n, 0); }
  static int futex_wake_private(std::atomic<std::uint32_t>& word, int n) {
    return wake(word, n, FUTEX_PRIVATE_FLAG);
  }

  struct Registry {
    std::atomic<std::int32_t> process[kMaxWorkers + 1];
    std::atomic<std::int32_t> thread[kMaxWorkers + 1];
    std::atomic<std::uint64_t> started[kMaxWorkers + 1];  // Clock ticks since boot; 0: not known.
  };
  /// The shared registry; the first call must happen before the processes are forked.
  static Registry& registry() {
    static Registry* shared = [] {
      void* at = ::mmap(nullptr, sizeof(Registry), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
      if (at == MAP_FAILED) std::abort();
      return static_cast<Registry*>(at);
    }();
    return *shared;
  }

 private:
  static std::uint32_t& self_id() {
    static thread_local std::uint32_t id = 0;
    return id;
  }

  /// What the kernel says of a task. Source: proc(5), /proc/pid/stat, fields 3 and 22.
  struct Task {
    bool unknown = false;  // The kernel did not say.
    bool running = false;
    std::uint64_t started = 0;
  };
  /// A model answers this for its own workers (step/runner.cc): the name and the numbers stay.
  [[gnu::noinline]] static bool task_is_running(std::int32_t process, std::int32_t thread,
                                                std::uint32_t id) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/task/%d/stat", process, thread);
    const Task task = task_at(path);
    // For want of a descriptor a zombie passes for alive: others wait for it rather than steal.
    if (task.unknown) return ::syscall(SYS_tgkill, process, thread, 0) == 0;
    const std::uint64_t started = registry().started[id].load();
    return task.running && (started == 0 || started == task.started);
  }
  static Task task_at(const char* path) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return {.unknown = errno != ENOENT && errno != ESRCH};
    char text[512];
    const ssize_t length = ::read(file, text, sizeof text - 1);
    const bool gone = length < 0 && errno == ESRCH;
    ::close(file);
    if (length <= 0) return {.unknown = !gone};
    text[length] = 0;
    const char* at = std::strrchr(text, ')');  // A name may have spaces and brackets in it.
    if (at == nullptr || at[1] != ' ') return {};
    Task task{.running = std::strchr("ZXx", at[2]) == nullptr};
    for (int field = 2; field < kStartField && at != nullptr; ++field)
      at = std::strchr(at + 1, ' ');
    if (at != nullptr) task.started = std::strtoull(at + 1, nullptr, 10);
    return task;
  }
  static constexpr int kStartField = 22;

  static wait_result wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                          std::optional<time_point> deadline, int flag) {
    timespec until{};
    if (deadline) {
      std::int64_t ns =
          std::chrono::duration_cast<std::chrono::nanoseconds>(deadline->time_since_epoch())
              .count();
      if (ns < 0) ns = 0;
      until.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
      until.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    }
    // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC deadline; FUTEX_WAIT a relative one.
    const long result =
        ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT_BITSET | flag,
                  expected, deadline ? &until : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
    if (result == 0) return wait_result::woken;
    switch (errno) {
      case ETIMEDOUT: return wait_result::timed_out;
      case EINTR: return wait_result::interrupted;
      default: return wait_result::mismatch;
    }
  }

  static int wake(std::atomic<std::uint32_t>& word, int n, int flag) {
    return static_cast<int>(::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word),
                                      FUTEX_WAKE | flag, n, nullptr, nullptr, 0));
  }
};

static_assert(Platform<RealPlatform>);

}  // namespace hobbs
