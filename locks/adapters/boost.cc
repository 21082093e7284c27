// Boost.Interprocess: in shared memory (mutex, recursive, sharable, upgradable) and by name.
//
// On Linux all are built of process-shared pthread mutexes and condition variables. Their timed
// calls take a wall-clock time with a resolution of 1 us; a call that the wall clock ends early
// is made again until the steady deadline has passed.
#include <unistd.h>

#include <atomic>
#include <boost/date_time/posix_time/posix_time_types.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_recursive_mutex.hpp>
#include <boost/interprocess/sync/interprocess_sharable_mutex.hpp>
#include <boost/interprocess/sync/interprocess_upgradable_mutex.hpp>
#include <boost/interprocess/sync/named_mutex.hpp>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>

#include "locks/adapters/adapters.h"
#include "locks/adapters/path_resource.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

namespace bip = boost::interprocess;

/// Calls `timed` with wall-clock times until it succeeds or `deadline` has passed.
template <class Timed>
bool until(SteadyTime deadline, Timed timed) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline - RealPlatform::now());
    const std::int64_t left_us = std::max<std::int64_t>(0, left.count());
    if (timed(boost::posix_time::microsec_clock::universal_time() +
              boost::posix_time::microseconds(left_us))) {
      return true;
    }
    if (RealPlatform::now() >= deadline) return false;
  }
}

template <class Mutex>
class Exclusive {
 public:
  void lock() { mutex_.lock(); }
  bool try_lock() { return mutex_.try_lock(); }
  bool try_lock_until(SteadyTime deadline) {
    return until(deadline, [this](const auto& time) { return mutex_.timed_lock(time); });
  }
  void unlock() { mutex_.unlock(); }

 protected:
  Mutex mutex_;
};

template <class Mutex>
class Sharable : public Exclusive<Mutex> {
 public:
  void lock_shared() { this->mutex_.lock_sharable(); }
  bool try_lock_shared() { return this->mutex_.try_lock_sharable(); }
  bool try_lock_shared_until(SteadyTime deadline) {
    return until(deadline, [this](const auto& t) { return this->mutex_.timed_lock_sharable(t); });
  }
  void unlock_shared() { this->mutex_.unlock_sharable(); }
};

class Upgradable : public Sharable<bip::interprocess_upgradable_mutex> {
 public:
  bool try_upgrade() { return mutex_.try_unlock_sharable_and_lock(); }
  void downgrade() { mutex_.unlock_and_lock_sharable(); }
};

/// A named mutex whose name is in a file (path_resource.h), so that the last user removes it.
class Named {
 public:
  explicit Named(const char* path)
      : resource_(path, "", new_name, [this](const std::string& name) {
          try {
            mutex_.emplace(bip::open_or_create, name.c_str());
          } catch (const bip::interprocess_exception&) {
            // Each call will say so.
          }
          return mutex_.has_value();
        }) {}
  ~Named() {
    mutex_.reset();
    resource_.leave([](const std::string& name) { bip::named_mutex::remove(name.c_str()); });
  }

  Outcome lock() {
    if (!mutex_) return Outcome::kSystemError;
    return unless_interrupted([this] {
      mutex_->lock();
      return Outcome::kAcquired;
    });
  }
  Outcome try_lock() {
    if (!mutex_) return Outcome::kSystemError;
    return mutex_->try_lock() ? Outcome::kAcquired : Outcome::kBusy;
  }
  Outcome try_lock_until(SteadyTime deadline) {
    if (!mutex_) return Outcome::kSystemError;
    return unless_interrupted([this, deadline] {
      const bool got = until(deadline, [this](const auto& t) { return mutex_->timed_lock(t); });
      return got ? Outcome::kAcquired : Outcome::kTimedOut;
    });
  }
  Outcome unlock() {
    if (!mutex_) return Outcome::kSystemError;
    mutex_->unlock();
    return Outcome::kReleased;
  }

 private:
  /// Its waits throw when a signal ends them ("Throws: interprocess_exception on error"): that is
  /// no failure of the lock, and is told as what it is.
  template <class Call>
  static Outcome unless_interrupted(Call call) {
    try {
      return call();
    } catch (const bip::interprocess_exception& error) {
      return error.get_native_error() == EINTR ? Outcome::kInterrupted : Outcome::kSystemError;
    }
  }

  static std::string new_name() {
    static std::atomic<std::uint32_t> counter{0};
    // Whoever started us removes what has this in its name, however we end.
    const char* scratch = std::getenv("HOBBS_SCRATCH");
    return (scratch == nullptr ? "hobbs" : scratch) + ("." + std::to_string(::getpid())) + "." +
           std::to_string(++counter) + "." +
           std::to_string(RealPlatform::now().time_since_epoch().count());
  }

  std::optional<bip::named_mutex> mutex_;
  adapters::PathResource resource_;
};

}  // namespace

Catalog boost_locks() {
  constexpr const char* kSource = "Boost.Interprocess 1.74, Synchronization mechanisms";
  const Claims reentrant{.reentrant = true};
  using adapters::peer;
  return {
      peer(spec_of<Exclusive<bip::interprocess_mutex>>("boost.mutex"), "interprocess_mutex.",
           kSource),
      peer(
          spec_of<Exclusive<bip::interprocess_recursive_mutex>>("boost.recursive_mutex", reentrant),
          "interprocess_recursive_mutex.", kSource),
      peer(spec_of<Sharable<bip::interprocess_sharable_mutex>>("boost.sharable_mutex"),
           "interprocess_sharable_mutex.", kSource),
      peer(spec_of<Upgradable>("boost.upgradable_mutex"),
           "interprocess_upgradable_mutex; a sharable hold may try to become exclusive.", kSource),
      peer(path_spec_of<Named>("boost.named_mutex"), "named_mutex, in shared memory of its own.",
           kSource),
  };
}

}  // namespace hobbs
