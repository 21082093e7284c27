// mpu.SharedLock, mpu.SharedRLock and mpu.local: Python's multiprocessing_utils.
#include "harness/agent/factories.h"
#include "harness/agent/local.h"
#include "harness/agent/shared_box.h"
#include "locks/real_platform.h"
#include "locks/seeds/process_local.h"
#include "locks/seeds/shared_lock.h"

namespace hobbs::agent {
namespace {

/// The state as the real one keeps it. Its semaphore is empty but for moments inside a call, and
/// its count of processes is that of the holders; who waits is not counted here.
template <class Lock>
void serve_state(Subject& subject, std::shared_ptr<Lock> lock) {
  subject.attributes["_num_processes.value"] = [lock]() -> Json { return lock->holders(); };
  subject.methods["_semaphore.get_value"] = {{}, [](const Arguments&) -> Json { return 0; }};
  subject.attributes["_state.exclusive"] = [lock]() -> Json {
    return lock->depth() == 0 ? Json() : Json(lock->holds_exclusively());
  };
  subject.attributes["_state.reference_count"] = [lock]() -> Json { return lock->depth(); };
}

template <class Lock>
void serve(Subject& subject) {
  auto lock = make_shared_box<Lock>();
  const auto release = [lock] { lock->release(); };
  const auto enter = [lock](bool exclusive) {
    return [lock, exclusive](const Arguments&) -> Json {
      lock->acquire(exclusive);
      return nullptr;
    };
  };
  subject.methods["acquire"] = {{"exclusive"}, [lock](const Arguments& a) -> Json {
                                  lock->acquire(a.truth("exclusive", false));
                                  return nullptr;
                                }};
  subject.methods["release"] = {{}, [release](const Arguments&) -> Json {
                                  release();
                                  return nullptr;
                                }};
  subject.contexts[""] = {{}, enter(false), release};
  subject.contexts["shared"] = {{}, enter(false), release};
  subject.contexts["exclusive"] = {{}, enter(true), release};
  serve_state(subject, lock);
}

}  // namespace

Made make_multiprocessing_utils(const std::string& name, const Json& positional,
                                const Json& keywords) {
  auto subject = std::make_shared<Subject>();
  subject->type = name;
  if (name != "SharedLock" && name != "SharedRLock" && name != "local") return nullptr;
  Arguments({}, positional, keywords);
  if (name == "SharedLock") {
    serve<SharedLock<RealPlatform>>(*subject);
  } else if (name == "SharedRLock") {
    serve<SharedReentrantLock<RealPlatform>>(*subject);
  } else {
    auto local = std::make_shared<ProcessLocal<Attributes>>();
    serve_local(*subject, [local]() -> Attributes& {
      Attributes* const mine = local->get();
      return mine != nullptr ? *mine : local->set({});
    });
  }
  return subject;
}

}  // namespace hobbs::agent
