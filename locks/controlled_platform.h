// A modelled machine as a Platform: a thin shim over machines that harness/explore defines.
//
// Every operation goes to the machine, which may switch to another fibre, pick a stale value, let
// time pass or end the worker. It is told of the hot ones twice: first that one comes, so that it
// can say who goes first, then to perform it. The jump between is made here: see fibre_jump.h. An
// atomic keeps its newest value (in modification order) in its own bytes, so that a lock's memory
// can be compared and copied.
#pragma once

#include <bit>
#include <source_location>
#include <type_traits>

#include "locks/fibre_jump.h"
#include "locks/platform.h"

namespace hobbs {

namespace controlled {

using Site = std::source_location;  // Where in the lock's source an operation stands: one pointer.

enum class ReadModifyWrite : std::uint8_t { kExchange, kAdd, kSub, kOr, kAnd, kXor };
enum class WaitResult : std::uint8_t { kWoken, kMismatch, kTimedOut, kInterrupted };

/// No deadline.
inline constexpr std::int64_t kNever = INT64_MAX;

/// What an operation does that lets others go first.
enum class Access : std::uint8_t { kLoad, kStore, kUpdate, kFence };

/// What a read-modify-write and a compare-exchange are to do. In one register each, so that all
/// that the machine is told is in registers.
struct Update {
  ReadModifyWrite operation;
  std::uint8_t size;
};
struct CompareExchange {
  std::memory_order success : 8;
  std::memory_order failure : 8;
  std::uint8_t size;
  bool weak;  // May fail spuriously.
};

/// Where the operations go. Values travel zero-extended in 64 bits; `size` is 1, 2, 4 or 8 bytes.
/// Called on the fibre of the worker whose operation it is; a call may leave that fibre and come
/// back later, or never.
class Machine {
 public:
  virtual ~Machine() = default;
  /// Before each load, store, read_modify_write, compare_exchange and fence: the caller takes the
  /// turn that is returned. (A machine may just as well let others go first in the operation.)
  virtual Turn announce(Access access, const void* cell, unsigned size) = 0;
  virtual std::uint64_t load(const void* cell, unsigned size, std::memory_order order,
                             Site site) = 0;
  virtual void store(void* cell, unsigned size, std::uint64_t value, std::memory_order order,
                     Site site) = 0;
  virtual std::uint64_t read_modify_write(void* cell, Update update, std::uint64_t operand,
                                          std::memory_order order, Site site) = 0;
  /// On failure `expected` receives the value read.
  virtual bool compare_exchange(void* cell, CompareExchange how, std::uint64_t& expected,
                                std::uint64_t desired, Site site) = 0;
  virtual void fence(std::memory_order order, Site site) = 0;
  virtual WaitResult futex_wait(void* word, std::uint32_t expected, std::int64_t deadline_ns,
                                bool is_private, Site site) = 0;
  virtual int futex_wake(void* word, int n, bool is_private, Site site) = 0;
  /// The caller takes the turn, then calls end_pause().
  virtual Turn begin_pause(Site site) = 0;
  virtual void end_pause() = 0;
  virtual void file_point(Site site) = 0;
  virtual std::uint32_t self() = 0;
  virtual std::uint32_t pid() = 0;
  virtual bool alive(std::uint32_t id, Site site) = 0;
  virtual std::int64_t now_ns() = 0;
};

/// The machine that this thread's operations go to; null outside an execution. Defined by the
/// explorer, and by uncontrolled.cc for programs without it: there a lock may be instantiated, but
/// not run.
extern constinit thread_local Machine* machine;
[[noreturn]] void refuse_uncontrolled();
[[gnu::always_inline]] inline Machine& machine_or_refuse() {
  if (machine == nullptr) [[unlikely]]
    refuse_uncontrolled();
  return *machine;
}

}  // namespace controlled

struct ControlledPlatform {
  enum class wait_result { woken, mismatch, timed_out, interrupted };
  using time_point = SteadyTime;
  using Site = controlled::Site;

  static constexpr std::size_t kCacheLineBytes = 4;

  template <class T>
  class atomic;

  static constexpr std::uint32_t spin_limit(std::uint32_t) { return 0; }
  static std::uint32_t self() { return controlled::machine_or_refuse().self(); }
  static std::uint32_t pid() { return controlled::machine_or_refuse().pid(); }
  static bool alive(std::uint32_t id, Site site = Site::current()) {
    return controlled::machine_or_refuse().alive(id, site);
  }
  static time_point now() {
    return time_point(std::chrono::nanoseconds(controlled::machine_or_refuse().now_ns()));
  }
  static void pause(Site site = Site::current()) {
    controlled::Machine& machine = controlled::machine_or_refuse();
    machine.begin_pause(site).take();
    machine.end_pause();
  }
  static void yield(Site site = Site::current()) { pause(site); }
  static void fence(std::memory_order order, Site site = Site::current()) {
    controlled::Machine& machine = controlled::machine_or_refuse();
    machine.announce(controlled::Access::kFence, nullptr, 0).take();
    machine.fence(order, site);
  }
  static void file_point(Site site = Site::current()) {
    controlled::machine_or_refuse().file_point(site);
  }

  static wait_result futex_wait(atomic<std::uint32_t>& word, std::uint32_t expected,
                                std::optional<time_point> deadline = std::nullopt,
                                Site site = Site::current());
  static wait_result futex_wait_private(atomic<std::uint32_t>& word, std::uint32_t expected,
                                        std::optional<time_point> deadline = std::nullopt,
                                        Site site = Site::current());
  static int futex_wake(atomic<std::uint32_t>& word, int n, Site site = Site::current());
  static int futex_wake_private(atomic<std::uint32_t>& word, int n, Site site = Site::current());
};

/// std::atomic's interface; the same size; all-zero bytes are the value zero.
template <class T>
class ControlledPlatform::atomic {
  static_assert(std::is_trivially_copyable_v<T> &&
                    (sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8),
                "the modelled machine has atomics of 1, 2, 4 and 8 bytes");
  using order = std::memory_order;
  using Access = controlled::Access;
  using Rmw = controlled::ReadModifyWrite;
  static constexpr order kSeqCst = std::memory_order_seq_cst;
  static constexpr std::uint8_t kSize = sizeof(T);

 public:
  using value_type = T;
  static constexpr bool is_always_lock_free = true;
  bool is_lock_free() const { return true; }

  constexpr atomic() noexcept : value_() {}
  constexpr atomic(T value) noexcept : value_(value) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(order o = kSeqCst, Site site = Site::current()) const {
    return narrow(announced(Access::kLoad).load(&value_, kSize, o, site));
  }
  void store(T value, order o = kSeqCst, Site site = Site::current()) {
    announced(Access::kStore).store(&value_, kSize, widen(value), o, site);
  }
  T exchange(T value, order o = kSeqCst, Site site = Site::current()) {
    return rmw(Rmw::kExchange, value, o, site);
  }
  bool compare_exchange_strong(T& expected, T desired, order success, order failure,
                               Site site = Site::current()) {
    return cas(expected, desired, success, failure, false, site);
  }
  bool compare_exchange_strong(T& expected, T desired, order o = kSeqCst,
                               Site site = Site::current()) {
    return cas(expected, desired, o, failure_order(o), false, site);
  }
  bool compare_exchange_weak(T& expected, T desired, order success, order failure,
                             Site site = Site::current()) {
    return cas(expected, desired, success, failure, true, site);
  }
  bool compare_exchange_weak(T& expected, T desired, order o = kSeqCst,
                             Site site = Site::current()) {
    return cas(expected, desired, o, failure_order(o), true, site);
  }
  T fetch_add(T delta, order o = kSeqCst, Site site = Site::current()) {
    return rmw(Rmw::kAdd, delta, o, site);
  }
  T fetch_sub(T delta, order o = kSeqCst, Site site = Site::current()) {
    return rmw(Rmw::kSub, delta, o, site);
  }
  T fetch_or(T bits, order o = kSeqCst, Site site = Site::current()) {
    return rmw(Rmw::kOr, bits, o, site);
  }
  T fetch_and(T bits, order o = kSeqCst, Site site = Site::current()) {
    return rmw(Rmw::kAnd, bits, o, site);
  }
  T fetch_xor(T bits, order o = kSeqCst, Site site = Site::current()) {
    return rmw(Rmw::kXor, bits, o, site);
  }
  operator T() const { return load(); }
  T operator=(T value) {
    store(value);
    return value;
  }
  T operator++() { return static_cast<T>(fetch_add(1) + 1); }
  T operator--() { return static_cast<T>(fetch_sub(1) - 1); }
  T operator++(int) { return fetch_add(1); }
  T operator--(int) { return fetch_sub(1); }
  T operator+=(T delta) { return static_cast<T>(fetch_add(delta) + delta); }
  T operator-=(T delta) { return static_cast<T>(fetch_sub(delta) - delta); }
  T operator|=(T bits) { return static_cast<T>(fetch_or(bits) | bits); }
  T operator&=(T bits) { return static_cast<T>(fetch_and(bits) & bits); }
  T operator^=(T bits) { return static_cast<T>(fetch_xor(bits) ^ bits); }

  /// As libstdc++'s, a futex of this process alone; of other sizes than 4 bytes, a look after each
  /// change, notified or not.
  void wait(T old, order o = kSeqCst, Site site = Site::current()) {
    while (widen(load(o, site)) == widen(old)) {
      if constexpr (kSize == 4) {
        controlled::machine_or_refuse().futex_wait(&value_, static_cast<std::uint32_t>(widen(old)),
                                                   controlled::kNever, true, site);
      } else {
        ControlledPlatform::pause(site);
      }
    }
  }
  void notify_one(Site site = Site::current()) { notify(1, site); }
  void notify_all(Site site = Site::current()) { notify(INT32_MAX, site); }

  /// The address that the model knows the word by.
  void* cell() { return &value_; }

 private:
  static std::uint64_t widen(T value) {
    std::uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    return bits;
  }
  static T narrow(std::uint64_t bits) {
    T value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
  }
  static constexpr order failure_order(order o) {
    return o == std::memory_order_acq_rel   ? std::memory_order_acquire
           : o == std::memory_order_release ? std::memory_order_relaxed
                                            : o;
  }
  void notify(int n, Site site) {
    if constexpr (kSize == 4) controlled::machine_or_refuse().futex_wake(&value_, n, true, site);
  }
  /// The machine, when others have gone first as it wants them to.
  [[gnu::always_inline]] controlled::Machine& announced(Access access) const {
    controlled::Machine& machine = controlled::machine_or_refuse();
    machine.announce(access, &value_, kSize).take();
    return machine;
  }
  T rmw(Rmw operation, T operand, order o, Site site) {
    return narrow(announced(Access::kUpdate)
                      .read_modify_write(&value_, {operation, kSize}, widen(operand), o, site));
  }
  bool cas(T& expected, T desired, order success, order failure, bool weak, Site site) {
    std::uint64_t seen = widen(expected);
    const controlled::CompareExchange how{success, failure, kSize, weak};
    const bool done =
        announced(Access::kUpdate).compare_exchange(&value_, how, seen, widen(desired), site);
    if (!done) expected = narrow(seen);
    return done;
  }

  T value_;
};

namespace controlled {
inline std::int64_t deadline_ns(const std::optional<SteadyTime>& deadline) {
  return deadline
             ? std::chrono::duration_cast<std::chrono::nanoseconds>(deadline->time_since_epoch())
                   .count()
             : kNever;
}
}  // namespace controlled

inline ControlledPlatform::wait_result ControlledPlatform::futex_wait(
    atomic<std::uint32_t>& word, std::uint32_t expected, std::optional<time_point> deadline,
    Site site) {
  return static_cast<wait_result>(controlled::machine_or_refuse().futex_wait(
      word.cell(), expected, controlled::deadline_ns(deadline), false, site));
}
inline ControlledPlatform::wait_result ControlledPlatform::futex_wait_private(
    atomic<std::uint32_t>& word, std::uint32_t expected, std::optional<time_point> deadline,
    Site site) {
  return static_cast<wait_result>(controlled::machine_or_refuse().futex_wait(
      word.cell(), expected, controlled::deadline_ns(deadline), true, site));
}
inline int ControlledPlatform::futex_wake(atomic<std::uint32_t>& word, int n, Site site) {
  return controlled::machine_or_refuse().futex_wake(word.cell(), n, false, site);
}
inline int ControlledPlatform::futex_wake_private(atomic<std::uint32_t>& word, int n, Site site) {
  return controlled::machine_or_refuse().futex_wake(word.cell(), n, true, site);
}

static_assert(Platform<ControlledPlatform>);

}  // namespace hobbs
