// th.Lock, th.RLock and th.local: Python's threading module.
#include "harness/agent/factories.h"
#include "harness/agent/local.h"
#include "locks/real_platform.h"
#include "locks/seeds/thread_lock.h"
#include "locks/seeds/thread_reentrant_lock.h"

namespace hobbs::agent {
namespace {

template <class Lock>
void serve(Subject& subject, std::shared_ptr<Lock> lock) {
  subject.methods["acquire"] = {{"blocking", "timeout"}, [lock](const Arguments& a) -> Json {
                                  return lock->acquire(a.c_int("blocking", 1) != 0,
                                                       Seconds(a.number("timeout", -1)));
                                }};
  subject.methods["release"] = {{}, [lock](const Arguments&) -> Json {
                                  lock->release();
                                  return nullptr;
                                }};
  subject.methods["_at_fork_reinit"] = {{}, [lock](const Arguments&) -> Json {
                                          lock->reinitialize_after_fork();
                                          return nullptr;
                                        }};
  subject.contexts[""] = {{},
                          [lock](const Arguments&) -> Json { return lock->acquire(); },
                          [lock] { lock->release(); }};
}

/// Each thread's attributes of all such objects; a forked child's thread inherits its parent's.
Attributes& attributes_of(std::uint64_t object) {
  static thread_local std::map<std::uint64_t, Attributes> all;
  return all[object];
}

}  // namespace

Made make_threading(const std::string& name, const Json& positional, const Json& keywords) {
  auto subject = std::make_shared<Subject>();
  subject->type = name;
  if (name == "Lock") {
    Arguments({}, positional, keywords);
    auto lock = std::make_shared<ThreadLock<RealPlatform>>();
    serve(*subject, lock);
    subject->methods["locked"] = {{}, [lock](const Arguments&) -> Json { return lock->locked(); }};
    return subject;
  }
  if (name == "RLock") {
    Arguments({}, positional, keywords);
    auto lock = std::make_shared<ThreadReentrantLock<RealPlatform>>();
    serve(*subject, lock);
    subject->error_names[LockErrorKind::kNotOwner] = "RuntimeError";
    subject->methods["_is_owned"] = {{},
                                     [lock](const Arguments&) -> Json { return lock->is_mine(); }};
    return subject;
  }
  if (name == "local") {
    Arguments({}, positional, keywords);
    serve_local(*subject,
                [object = fresh_identity()]() -> Attributes& { return attributes_of(object); });
    return subject;
  }
  return nullptr;
}

}  // namespace hobbs::agent
