// mp.Lock, mp.RLock, mp.Semaphore, mp.BoundedSemaphore and mp.attach: Python's multiprocessing.
//
// As there, the locks of the fork context have no name and live in memory that children inherit;
// those of spawn and forkserver have one, under which mp.attach finds them.
#include <cerrno>
#include <cstdlib>

#include "harness/agent/factories.h"
#include "harness/agent/name_keeper.h"
#include "harness/agent/semlock.h"
#include "harness/agent/shared_box.h"
#include "locks/real_platform.h"
#include "locks/seeds/process_lock.h"
#include "locks/seeds/process_reentrant_lock.h"
#include "locks/seeds/process_semaphore.h"

namespace hobbs::agent {
namespace {

constexpr std::int64_t kValueMax = SemaphoreWord<RealPlatform>::kValueMax;

template <class Lock>
void serve_lock(Subject& subject, std::shared_ptr<Lock> lock) {
  serve_semlock(subject, lock);
}

/// `_count` and `_is_mine` are the lock's own here: it has an owner.
template <class Lock>
void serve_reentrant_lock(Subject& subject, std::shared_ptr<Lock> lock) {
  serve_semlock(subject, lock);
  subject.error_names[LockErrorKind::kNotOwner] = "AssertionError";
  subject.methods["_semlock._count"] = {{},
                                        [lock](const Arguments&) -> Json { return lock->depth(); }};
  subject.methods["_semlock._is_mine"] = {
      {}, [lock](const Arguments&) -> Json { return lock->is_mine(); }};
}

template <class Lock>
void serve_semaphore(Subject& subject, std::shared_ptr<Lock> lock) {
  serve_semlock(subject, lock);
  subject.methods["get_value"] = {{}, [lock](const Arguments&) -> Json { return lock->value(); }};
}

/// The first value of a semaphore; the system's EINVAL if it is negative, as in Python.
std::uint32_t first_value(const Arguments& arguments) {
  const std::int64_t value = arguments.c_int("value", 1);
  if (value < 0) throw LockError(EINVAL, "the semaphore's first value is negative");
  return static_cast<std::uint32_t>(value);
}

void serve_unnamed(Subject& subject, const std::string& name, const Arguments& arguments) {
  if (name == "Lock") {
    serve_lock(subject, make_shared_box<ProcessLock<RealPlatform>>());
  } else if (name == "RLock") {
    serve_reentrant_lock(subject, make_shared_box<ProcessReentrantLock<RealPlatform>>());
  } else {
    const Bound bound = name == "BoundedSemaphore" ? Bound::kFirstValue : Bound::kNone;
    serve_semaphore(subject,
                    make_shared_box<ProcessSemaphore<RealPlatform>>(first_value(arguments), bound));
  }
}

void serve_named(Subject& subject, const std::string& name, NamedSemaphore semaphore,
                 std::uint32_t most) {
  subject.attributes["_semlock.name"] = [name = semaphore.name()]() -> Json { return name; };
  if (name == "Lock") {
    serve_lock(subject, std::make_shared<NamedProcessLock>(std::move(semaphore)));
  } else if (name == "RLock") {
    serve_reentrant_lock(subject,
                         std::make_shared<NamedProcessReentrantLock>(std::move(semaphore)));
  } else {
    serve_semaphore(subject, std::make_shared<NamedProcessSemaphore>(std::move(semaphore), most));
  }
}

/// mp.attach(name, kind, maxvalue): kind 0 is re-entrant, and maxvalue 1 a lock.
void attach(Subject& subject, const Arguments& arguments) {
  const std::int64_t kind = arguments.c_int("kind", 1), most = arguments.c_int("maxvalue", 1);
  if (kind != 0 && kind != 1) throw RemoteError{"ValueError", "unrecognized kind"};
  subject.type = kind == 0 ? "RLock" : most == 1 ? "Lock" : "Semaphore";
  serve_named(subject, subject.type, NamedSemaphore::open(arguments.text("name")),
              static_cast<std::uint32_t>(most));
}

}  // namespace

Made make_multiprocessing(const std::string& context, const std::string& name,
                          const Json& positional, const Json& keywords) {
  if (!context.empty() && context != "fork" && context != "spawn" && context != "forkserver") {
    throw RemoteError{"ValueError", "cannot find context for '" + context + "'"};
  }
  auto subject = std::make_shared<Subject>();
  subject->type = name;
  if (name == "attach") {
    attach(*subject, Arguments({"name", "kind", "maxvalue"}, positional, keywords));
    return subject;
  }
  const bool counts = name == "Semaphore" || name == "BoundedSemaphore";
  if (!counts && name != "Lock" && name != "RLock") return nullptr;
  using Names = std::vector<std::string>;
  const Arguments arguments(counts ? Names{"value"} : Names{}, positional, keywords);
  if (context.empty() || context == "fork") {
    serve_unnamed(*subject, name, arguments);
    subject->attributes["_semlock.name"] = []() -> Json { return nullptr; };
    return subject;
  }
  const std::uint32_t value = counts ? first_value(arguments) : 1;
  // Whoever started this agent removes what has this in its name.
  const char* scratch = std::getenv("HOBBS_SCRATCH");
  NamedSemaphore semaphore =
      NamedSemaphore::create_unique(value, scratch == nullptr ? "" : std::string(scratch) + "-");
  keep_name(semaphore.name());
  serve_named(*subject, name, std::move(semaphore), name == "Semaphore" ? kValueMax : value);
  return subject;
}

}  // namespace hobbs::agent
