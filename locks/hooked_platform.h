// RealPlatform with a hook before and after every operation.
//
// The free driver installs a hook per thread: it delays, yields, forks, stops or kills at the k-th
// point of an operation. Without a hook an operation costs one thread-local load more.
#pragma once

#include "locks/real_platform.h"

namespace hobbs {

/// What the lock is about to do, or has just done, at a hook point.
enum class HookPoint : std::uint8_t {
  kLoad,
  kStore,
  kReadModifyWrite,
  kFutexWait,
  kFutexWake,
  kPause,
  kYield,
  kFile,
  kFileWait,  // A system call that waits for a file or a semaphore.
};

/// Called in the worker's thread; `before` tells the two sides of the operation apart. It must be
/// async-signal-safe and must not touch the lock under test.
using Hook = void (*)(HookPoint point, bool before);

/// The calling thread's hook; null means none. A forked child inherits its forking thread's.
inline thread_local Hook current_hook = nullptr;

struct HookedPlatform {
  using wait_result = RealPlatform::wait_result;
  using time_point = RealPlatform::time_point;

  template <class T>
  class atomic;

  template <class Operation>
  static decltype(auto) around(HookPoint point, Operation&& operation) {
    if (current_hook != nullptr) current_hook(point, true);
    struct After {
      HookPoint point;
      ~After() {
        if (current_hook != nullptr) current_hook(point, false);
      }
    } after{point};
    return operation();
  }

  /// Few: each look is a point at which the free driver may strike.
  static constexpr std::uint32_t spin_limit(std::uint32_t wanted) {
    return wanted < 2 ? wanted : 2;
  }
  static std::uint32_t self() { return RealPlatform::self(); }
  static std::uint32_t pid() { return RealPlatform::pid(); }
  static bool alive(std::uint32_t id) { return RealPlatform::alive(id); }
  static time_point now() { return RealPlatform::now(); }
  static void pause() {
    around(HookPoint::kPause, [] { RealPlatform::pause(); });
  }
  static void yield() {
    around(HookPoint::kYield, [] { RealPlatform::yield(); });
  }
  static void fence(std::memory_order order) { RealPlatform::fence(order); }
  static void file_point() {
    around(HookPoint::kFile, [] {});
  }

  template <class Word>
  static wait_result futex_wait(Word& word, std::uint32_t expected,
                                std::optional<time_point> deadline = std::nullopt) {
    return around(HookPoint::kFutexWait,
                  [&] { return RealPlatform::futex_wait(word.raw(), expected, deadline); });
  }
  template <class Word>
  static wait_result futex_wait_private(Word& word, std::uint32_t expected,
                                        std::optional<time_point> deadline = std::nullopt) {
    return around(HookPoint::kFutexWait,
                  [&] { return RealPlatform::futex_wait_private(word.raw(), expected, deadline); });
  }
  template <class Word>
  static int futex_wake(Word& word, int n) {
    return around(HookPoint::kFutexWake, [&] { return RealPlatform::futex_wake(word.raw(), n); });
  }
  template <class Word>
  static int futex_wake_private(Word& word, int n) {
    return around(HookPoint::kFutexWake,
                  [&] { return RealPlatform::futex_wake_private(word.raw(), n); });
  }
};

/// std::atomic with the hook around each operation; the same size and representation.
template <class T>
class HookedPlatform::atomic {
 public:
  constexpr atomic() noexcept : value_() {}
  constexpr atomic(T value) noexcept : value_(value) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  using value_type = T;
  static constexpr bool is_always_lock_free = std::atomic<T>::is_always_lock_free;
  bool is_lock_free() const { return value_.is_lock_free(); }

  using order = std::memory_order;
  static constexpr order kSeqCst = std::memory_order_seq_cst;

  T load(order o = kSeqCst) const {
    return around(HookPoint::kLoad, [&] { return value_.load(o); });
  }
  void store(T value, order o = kSeqCst) {
    around(HookPoint::kStore, [&] { value_.store(value, o); });
  }
  T exchange(T value, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite, [&] { return value_.exchange(value, o); });
  }
  bool compare_exchange_strong(T& expected, T desired, order success, order failure) {
    return around(HookPoint::kReadModifyWrite, [&] {
      return value_.compare_exchange_strong(expected, desired, success, failure);
    });
  }
  bool compare_exchange_strong(T& expected, T desired, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite,
                  [&] { return value_.compare_exchange_strong(expected, desired, o); });
  }
  bool compare_exchange_weak(T& expected, T desired, order success, order failure) {
    return around(HookPoint::kReadModifyWrite, [&] {
      return value_.compare_exchange_weak(expected, desired, success, failure);
    });
  }
  bool compare_exchange_weak(T& expected, T desired, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite,
                  [&] { return value_.compare_exchange_weak(expected, desired, o); });
  }
  template <class D>
  T fetch_add(D delta, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite, [&] { return value_.fetch_add(delta, o); });
  }
  template <class D>
  T fetch_sub(D delta, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite, [&] { return value_.fetch_sub(delta, o); });
  }
  T fetch_or(T bits, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite, [&] { return value_.fetch_or(bits, o); });
  }
  T fetch_and(T bits, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite, [&] { return value_.fetch_and(bits, o); });
  }
  T fetch_xor(T bits, order o = kSeqCst) {
    return around(HookPoint::kReadModifyWrite, [&] { return value_.fetch_xor(bits, o); });
  }
  operator T() const { return load(); }
  T operator=(T value) {
    store(value);
    return value;
  }
  T operator++() { return fetch_add(1) + 1; }
  T operator--() { return fetch_sub(1) - 1; }
  T operator++(int) { return fetch_add(1); }
  T operator--(int) { return fetch_sub(1); }
  T operator+=(T delta) { return static_cast<T>(fetch_add(delta) + delta); }
  T operator-=(T delta) { return static_cast<T>(fetch_sub(delta) - delta); }
  T operator|=(T bits) { return static_cast<T>(fetch_or(bits) | bits); }
  T operator&=(T bits) { return static_cast<T>(fetch_and(bits) & bits); }
  T operator^=(T bits) { return static_cast<T>(fetch_xor(bits) ^ bits); }

  void wait(T old, order o = kSeqCst) const {
    around(HookPoint::kFutexWait, [&] { value_.wait(old, o); });
  }
  void notify_one() {
    around(HookPoint::kFutexWake, [&] { value_.notify_one(); });
  }
  void notify_all() {
    around(HookPoint::kFutexWake, [&] { value_.notify_all(); });
  }

  /// The word itself, for the futex calls.
  std::atomic<T>& raw() { return value_; }

 private:
  std::atomic<T> value_;
};

static_assert(Platform<HookedPlatform>);

}  // namespace hobbs
