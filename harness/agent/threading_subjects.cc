// th.Lock: Python's threading module.
#include "harness/agent/factories.h"
#include "locks/real_platform.h"
#include "locks/reference/thread_lock.h"

namespace hobbs::agent {

Made make_threading(const std::string& name, const Json& positional, const Json& keywords) {
  auto subject = std::make_shared<Subject>();
  subject->type = name;
  if (name == "Lock") {
    Arguments({}, positional, keywords);
    auto lock = std::make_shared<ThreadLock<RealPlatform>>();
    subject->methods["acquire"] = {{"blocking", "timeout"}, [lock](const Arguments& a) -> Json {
                                     return lock->acquire(a.truth("blocking", true),
                                                          Seconds(a.number("timeout", -1)));
                                   }};
    subject->methods["release"] = {{}, [lock](const Arguments&) -> Json {
                                     lock->release();
                                     return nullptr;
                                   }};
    subject->methods["locked"] = {{}, [lock](const Arguments&) -> Json { return lock->locked(); }};
    subject->methods["_at_fork_reinit"] = {{}, [lock](const Arguments&) -> Json {
                                             lock->reinitialize_after_fork();
                                             return nullptr;
                                           }};
    subject->contexts[""] = {{},
                             [lock](const Arguments&) -> Json { return lock->acquire(); },
                             [lock] { lock->release(); }};
    return subject;
  }
  return nullptr;
}

}  // namespace hobbs::agent
