// From a C++ type to a LockSpec (fixed contract, DESIGN 4.2).
//
//   spec_of<my_lock>("mine")            a template over Platform: every driver applies;
//   spec_of<std::mutex>("std", claims)  any class with lock() and unlock(): as it is;
//   path_spec_of<my_file_lock>("file")  constructed per worker from a `const char* path`.
//
// Which calls exist is read from the type: BasicLockable up to SharedTimedLockable, plus upgrade(),
// try_upgrade() and downgrade(). A call may return void (it succeeded), bool (acquired or not) or
// Outcome. What cannot be read comes from `claims`, else from a static member `claims`, else from
// a static member `kind` ("mutex", "rw", "semaphore" with `capacity`, "reentrant", "robust",
// "file") and `max_workers`, else from the defaults. ("reentrant" means readers, too, where the
// lock has them: see Claims.)
#pragma once

#include <chrono>
#include <concepts>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

#include "locks/controlled_platform.h"
#include "locks/errors.h"
#include "locks/hooked_platform.h"
#include "locks/lock.h"
#include "locks/real_platform.h"

namespace hobbs {
namespace internal {

/// Runs a call and says in one Outcome what it did: `positive` for void and true, else `negative`.
template <class Call>
Outcome outcome_of(Outcome positive, Outcome negative, Call&& call) {
  try {
    using Result = decltype(call());
    if constexpr (std::is_void_v<Result>) {
      call();
      return positive;
    } else if constexpr (std::is_convertible_v<Result, Outcome>) {
      return call();
    } else {
      return call() ? positive : negative;
    }
  } catch (const LockError& error) {
    return hobbs::outcome_of(error.kind());
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_deadlock_would_occur) return Outcome::kDeadlock;
    if (error.code() == std::errc::operation_not_permitted) return Outcome::kNotOwner;
    return Outcome::kSystemError;
  } catch (...) {
    return Outcome::kSystemError;
  }
}

inline SteadyTime to_time(std::int64_t deadline_ns) {
  return SteadyTime(std::chrono::nanoseconds(deadline_ns));
}

template <class L>
concept HasTryUntil = requires(L& l, SteadyTime t) {
  l.try_lock_until(t);
};
template <class L>
concept HasTryFor = requires(L& l, std::chrono::nanoseconds d) {
  l.try_lock_for(d);
};
template <class L>
concept HasSharedTryUntil = requires(L& l, SteadyTime t) {
  l.try_lock_shared_until(t);
};
template <class L>
concept HasSharedTryFor = requires(L& l, std::chrono::nanoseconds d) {
  l.try_lock_shared_for(d);
};

template <class L>
void fill_exclusive(LockOps& ops) {
  ops.acquire = [](void* at) {
    return outcome_of(Outcome::kAcquired, Outcome::kSystemError,
                      [at] { return static_cast<L*>(at)->lock(); });
  };
  ops.release = [](void* at) {
    return outcome_of(Outcome::kReleased, Outcome::kNotOwner,
                      [at] { return static_cast<L*>(at)->unlock(); });
  };
  if constexpr (requires(L & l) { l.try_lock(); }) {
    ops.try_acquire = [](void* at) {
      return outcome_of(Outcome::kAcquired, Outcome::kBusy,
                        [at] { return static_cast<L*>(at)->try_lock(); });
    };
  }
  if constexpr (HasTryUntil<L>) {
    ops.acquire_until = [](void* at, std::int64_t deadline_ns) {
      return outcome_of(Outcome::kAcquired, Outcome::kTimedOut, [at, deadline_ns] {
        return static_cast<L*>(at)->try_lock_until(to_time(deadline_ns));
      });
    };
  } else if constexpr (HasTryFor<L>) {
    ops.acquire_until = [](void* at, std::int64_t deadline_ns) {
      return outcome_of(Outcome::kAcquired, Outcome::kTimedOut, [at, deadline_ns] {
        return static_cast<L*>(at)->try_lock_for(to_time(deadline_ns) - RealPlatform::now());
      });
    };
  }
}

template <class L>
void fill_shared(LockOps& ops) {
  if constexpr (requires(L & l) {
                  l.lock_shared();
                  l.unlock_shared();
                }) {
    ops.acquire_shared = [](void* at) {
      return outcome_of(Outcome::kAcquired, Outcome::kSystemError,
                        [at] { return static_cast<L*>(at)->lock_shared(); });
    };
    ops.release_shared = [](void* at) {
      return outcome_of(Outcome::kReleased, Outcome::kNotOwner,
                        [at] { return static_cast<L*>(at)->unlock_shared(); });
    };
  }
  if constexpr (requires(L & l) { l.try_lock_shared(); }) {
    ops.try_acquire_shared = [](void* at) {
      return outcome_of(Outcome::kAcquired, Outcome::kBusy,
                        [at] { return static_cast<L*>(at)->try_lock_shared(); });
    };
  }
  if constexpr (HasSharedTryUntil<L>) {
    ops.acquire_shared_until = [](void* at, std::int64_t deadline_ns) {
      return outcome_of(Outcome::kAcquired, Outcome::kTimedOut, [at, deadline_ns] {
        return static_cast<L*>(at)->try_lock_shared_until(to_time(deadline_ns));
      });
    };
  } else if constexpr (HasSharedTryFor<L>) {
    ops.acquire_shared_until = [](void* at, std::int64_t deadline_ns) {
      return outcome_of(Outcome::kAcquired, Outcome::kTimedOut, [at, deadline_ns] {
        return static_cast<L*>(at)->try_lock_shared_for(to_time(deadline_ns) - RealPlatform::now());
      });
    };
  }
}

template <class L>
void fill_conversions(LockOps& ops) {
  if constexpr (requires(L & l) { l.upgrade(); }) {
    ops.upgrade = [](void* at) {
      return outcome_of(Outcome::kAcquired, Outcome::kUpgradeRefused,
                        [at] { return static_cast<L*>(at)->upgrade(); });
    };
  }
  if constexpr (requires(L & l) { l.try_upgrade(); }) {
    ops.try_upgrade = [](void* at) {
      return outcome_of(Outcome::kAcquired, Outcome::kUpgradeRefused,
                        [at] { return static_cast<L*>(at)->try_upgrade(); });
    };
  }
  if constexpr (requires(L & l) { l.downgrade(); }) {
    ops.downgrade = [](void* at) {
      return outcome_of(Outcome::kReleased, Outcome::kNotOwner,
                        [at] { return static_cast<L*>(at)->downgrade(); });
    };
  }
}

template <class L>
LockOps ops_of() {
  static_assert(
      requires(L & l) {
        l.lock();
        l.unlock();
      },
      "a lock needs at least lock() and unlock()");
  LockOps ops;
  ops.size = sizeof(L);
  ops.align = alignof(L);
  if constexpr (std::is_constructible_v<L, const char*> && !std::is_default_constructible_v<L>) {
    ops.construct = [](void* at, const char* path) { new (at) L(path); };
  } else {
    ops.construct = [](void* at, const char*) { new (at) L(); };
  }
  ops.destroy = [](void* at) { static_cast<L*>(at)->~L(); };
  fill_exclusive<L>(ops);
  fill_shared<L>(ops);
  fill_conversions<L>(ops);
  return ops;
}

/// The claims that a `kind` stands for.
Claims claims_of_kind(std::string_view kind, std::uint32_t capacity);

template <class L>
Claims claims_of() {
  if constexpr (requires {
                  { L::claims } -> std::convertible_to<Claims>;
                }) {
    return L::claims;
  } else {
    Claims claims;
    if constexpr (requires { std::string_view(L::kind); }) {
      std::uint32_t capacity = 1;
      if constexpr (requires { L::capacity; }) capacity = static_cast<std::uint32_t>(L::capacity);
      claims = claims_of_kind(L::kind, capacity);
    }
    if constexpr (requires { L::max_workers; }) {
      claims.max_workers = static_cast<std::uint32_t>(L::max_workers);
    }
    return claims;
  }
}

template <class L>
constexpr Home home_of() {
  return std::is_constructible_v<L, const char*> && !std::is_default_constructible_v<L>
             ? Home::kPath
             : Home::kMemory;
}

}  // namespace internal

/// The spec of a class template over Platform: all drivers apply.
template <template <class> class L>
LockSpec spec_of(std::string name, std::optional<Claims> claims = std::nullopt) {
  LockSpec spec;
  spec.name = std::move(name);
  spec.claims = claims ? *claims : internal::claims_of<L<RealPlatform>>();
  spec.home = internal::home_of<L<RealPlatform>>();
  spec.real = internal::ops_of<L<RealPlatform>>();
  spec.hooked = internal::ops_of<L<HookedPlatform>>();
  spec.controlled = internal::ops_of<L<ControlledPlatform>>();
  return spec;
}

/// The spec of a class as it is: the drivers that need no control over it apply.
template <class L>
LockSpec spec_of(std::string name, std::optional<Claims> claims = std::nullopt) {
  LockSpec spec;
  spec.name = std::move(name);
  spec.claims = claims ? *claims : internal::claims_of<L>();
  spec.home = internal::home_of<L>();
  spec.real = internal::ops_of<L>();
  return spec;
}

/// As spec_of(), for a lock that each worker constructs from a path all of them share.
template <template <class> class L>
LockSpec path_spec_of(std::string name, std::optional<Claims> claims = std::nullopt) {
  static_assert(std::is_constructible_v<L<RealPlatform>, const char*>,
                "a path lock is constructed from a const char* path");
  LockSpec spec = spec_of<L>(std::move(name), claims);
  spec.home = Home::kPath;
  return spec;
}
template <class L>
LockSpec path_spec_of(std::string name, std::optional<Claims> claims = std::nullopt) {
  static_assert(std::is_constructible_v<L, const char*>,
                "a path lock is constructed from a const char* path");
  LockSpec spec = spec_of<L>(std::move(name), claims);
  spec.home = Home::kPath;
  return spec;
}

}  // namespace hobbs
