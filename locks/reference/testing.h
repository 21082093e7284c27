// For this folder's tests only: shared memory, forked workers, and a witness of who is inside.
#pragma once

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <new>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "locks/errors.h"
#include "locks/lock.h"
#include "locks/real_platform.h"

namespace hobbs::testing {

/// A zeroed `T` that forked children share; unmapped at the end of its scope.
template <class T>
class Shared {
 public:
  template <class... Arguments>
  explicit Shared(Arguments&&... arguments)
      : at_(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (at_ == MAP_FAILED) std::abort();
    new (at_) T(std::forward<Arguments>(arguments)...);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(at_, sizeof(T)); }

  T& operator*() const { return *static_cast<T*>(at_); }
  T* operator->() const { return static_cast<T*>(at_); }

 private:
  void* at_;
};

/// Room for one lock of any kind, in shared memory, constructed by its spec.
class LockMemory {
 public:
  explicit LockMemory(const LockOps& ops, const char* path = nullptr) : ops_(ops), path_(path) {
    at_ = ::mmap(nullptr, ops.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at_ == MAP_FAILED) std::abort();
    ops_.construct(at_, path_);
  }
  LockMemory(const LockMemory&) = delete;
  LockMemory& operator=(const LockMemory&) = delete;
  ~LockMemory() {
    ops_.destroy(at_);
    ::munmap(at_, ops_.size);
  }

  void* get() const { return at_; }
  bool all_zero() const {
    const auto* bytes = static_cast<const unsigned char*>(at_);
    for (std::size_t i = 0; i < ops_.size; ++i) {
      if (bytes[i] != 0) return false;
    }
    return true;
  }

 private:
  LockOps ops_;
  const char* path_;
  void* at_;
};

/// Forks a child that is worker `id`, runs `body` and exits with its result (0 is good).
template <class Body>
pid_t fork_worker(std::uint32_t id, Body&& body) {
  RealPlatform::registry();
  const pid_t child = ::fork();
  if (child < 0) std::abort();
  if (child != 0) return child;
  ::alarm(30);  // A hang must not outlive the test.
  RealPlatform::attach(id);
  ::_exit(body());
}

/// As fork_worker() without an id, and without any of fork's handlers.
template <class Body>
pid_t clone_worker(Body&& body) {
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  if (child < 0) std::abort();
  if (child != 0) return child;
  ::alarm(30);
  ::_exit(body());
}

/// The child's exit code; -1 if a signal ended it.
inline int wait_for(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Forks `count` workers with ids from 1 and waits; the number of those that did not return 0.
template <class Body>
int run_workers(std::uint32_t count, Body&& body) {
  std::vector<pid_t> children;
  for (std::uint32_t id = 1; id <= count; ++id) {
    children.push_back(fork_worker(id, [&] { return body(id); }));
  }
  int bad = 0;
  for (const pid_t child : children) bad += wait_for(child) != 0;
  return bad;
}

/// What a fresh thread of this process answers.
template <class Body>
auto in_thread(Body&& body) {
  decltype(body()) answer{};
  std::thread([&] { answer = body(); }).join();
  return answer;
}

/// The kind of LockError that the call throws; nothing if it throws none.
template <class Call>
std::optional<LockErrorKind> refusal(Call&& call) {
  try {
    call();
    return std::nullopt;
  } catch (const LockError& error) {
    return error.kind();
  }
}

/// Who is inside: each entry checks that nobody is who must not be. Not part of any lock.
class Witness {
 public:
  void enter(Mode mode) {
    const std::uint32_t was = inside_.fetch_add(amount(mode));
    if (mode == Mode::kExclusive ? was != 0 : was >= kWriter) violations_.fetch_add(1);
    sum_ = mode == Mode::kExclusive ? sum_ + 1 : sum_;
  }
  void leave(Mode mode) { inside_.fetch_sub(amount(mode)); }
  std::uint32_t violations() const { return violations_.load(); }
  /// Exclusive sections seen, counted without atomics: less than the truth if two overlapped.
  std::uint64_t sum() const { return sum_; }

 private:
  static constexpr std::uint32_t kWriter = 1 << 16;
  static constexpr std::uint32_t amount(Mode mode) {
    return mode == Mode::kExclusive ? kWriter : 1;
  }

  std::atomic<std::uint32_t> inside_{0};
  std::atomic<std::uint32_t> violations_{0};
  volatile std::uint64_t sum_ = 0;
};

/// Waits until the process sleeps in the kernel: a waiter that has parked. Evidence, not a delay;
/// false if it has not within 10 s.
inline bool until_asleep(pid_t process) {
  char path[32], text[256];
  std::snprintf(path, sizeof path, "/proc/%d/stat", process);
  for (const auto end = RealPlatform::now() + std::chrono::seconds(10);
       RealPlatform::now() < end;) {
    if (std::FILE* file = std::fopen(path, "re"); file != nullptr) {
      text[std::fread(text, 1, sizeof text - 1, file)] = 0;
      std::fclose(file);
      const char* state = std::strrchr(text, ')');
      if (state != nullptr && state[1] == ' ' && state[2] == 'S') return true;
    }
    RealPlatform::yield();
  }
  return false;
}

inline std::int64_t in_ns(std::chrono::nanoseconds from_now) {
  return (RealPlatform::now() + from_now).time_since_epoch().count();
}

}  // namespace hobbs::testing
