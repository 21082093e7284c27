// mp.Lock: Python's multiprocessing module.
#include "harness/agent/factories.h"
#include "harness/agent/shared_box.h"
#include "locks/real_platform.h"
#include "locks/reference/process_lock.h"

namespace hobbs::agent {

Made make_multiprocessing(const std::string& context, const std::string& name,
                          const Json& positional, const Json& keywords) {
  auto subject = std::make_shared<Subject>();
  subject->type = name;
  if (name == "Lock" && (context.empty() || context == "fork")) {
    Arguments({}, positional, keywords);
    auto lock = make_shared_box<ProcessLock<RealPlatform>>();
    subject->methods["acquire"] = {{"block", "timeout"}, [lock](const Arguments& a) -> Json {
                                     return lock->acquire(a.truth("block", true),
                                                          a.seconds_or_none("timeout"));
                                   }};
    subject->methods["release"] = {{}, [lock](const Arguments&) -> Json {
                                     lock->release();
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
