// fa.InterProcessLock, fa.InterProcessReaderWriterLock and fa.deco: Python's fasteners.
#include <cerrno>
#include <memory>

#include "harness/agent/factories.h"
#include "harness/agent/records.h"
#include "locks/seeds/inter_process_lock.h"
#include "locks/seeds/inter_process_locked.h"
#include "locks/seeds/inter_process_reader_writer_lock.h"

namespace hobbs::agent {
namespace {

using Lock = InterProcessLock<RealPlatform>;
using ReaderWriterLock = InterProcessReaderWriterLock<RealPlatform>;
using Names = std::vector<std::string>;

const Names kAcquire = {"blocking", "delay", "max_delay", "timeout"};

/// str() of whatever is no string: None makes the path "None", as it does there.
std::string path_of(const Json& argument) {
  if (argument.is_string()) return argument.get<std::string>();
  return argument.is_null() ? "None" : argument.dump();
}

BackOff back_off_of(const Arguments& a) {
  const BackOff usual;
  return {.blocking = a.truth("blocking", usual.blocking),
          .delay = Seconds(a.number("delay", usual.delay.count())),
          .max_delay = Seconds(a.number("max_delay", usual.max_delay.count())),
          .timeout = a.seconds_or_none("timeout")};
}

template <class L>
std::shared_ptr<L> make(const Json& positional, const Json& keywords) {
  const Arguments a({"path", "sleep_func", "logger"}, positional, keywords);
  if (!a.has("path")) throw RemoteError{"TypeError", "missing 1 required argument: 'path'"};
  return std::make_shared<L>(path_of(a.at("path")), sleep_function(a.at("sleep_func")),
                             logger(a.at("logger")));
}

/// The bare lock beneath, as fasteners shows it.
void serve_file(Subject& subject, const std::shared_ptr<Lock>& lock) {
  subject.methods["exists"] = {{}, [lock](const Arguments&) -> Json { return lock->exists(); }};
  subject.methods["trylock"] = {{}, [lock](const Arguments&) -> Json {
                                  const bool got = lock->with_file([](LockFile& file) {
                                    return file.try_lock(Mode::kExclusive);
                                  });
                                  if (!got) throw LockError(EAGAIN, "trylock");
                                  return nullptr;
                                }};
  subject.methods["unlock"] = {{}, [lock](const Arguments&) -> Json {
                                 lock->with_file([](LockFile& file) { file.unlock(); });
                                 return nullptr;
                               }};
  const auto is_open = [lock] {
    return lock->with_file([](LockFile& file) { return file.is_open(); });
  };
  subject.attributes["lockfile"] = [is_open]() -> Json {
    return is_open() ? Json("<open file>") : Json();
  };
  subject.attributes["lockfile.closed"] = [is_open]() -> Json {
    if (is_open()) return false;
    throw RemoteError{"AttributeError", "'NoneType' object has no attribute 'closed'"};
  };
}

void serve(Subject& subject, const std::shared_ptr<Lock>& lock) {
  subject.methods["acquire"] = {
      kAcquire, [lock](const Arguments& a) -> Json { return lock->acquire(back_off_of(a)); }};
  subject.methods["release"] = {{}, [lock](const Arguments&) -> Json {
                                  lock->release();
                                  return nullptr;
                                }};
  subject.attributes["acquired"] = [lock]() -> Json { return lock->acquired(); };
  subject.contexts[""] = {{},
                          [lock](const Arguments&) -> Json {
                            lock->acquire();
                            return "<InterProcessLock>";
                          },
                          [lock] { lock->release(); }};
  serve_file(subject, lock);
}

void serve(Subject& subject, const std::shared_ptr<ReaderWriterLock>& lock) {
  using Acquire = bool (ReaderWriterLock::*)(const BackOff&);
  using Release = void (ReaderWriterLock::*)();
  const auto serve_mode = [&](const std::string& mode, Acquire acquire, Release release) {
    subject.methods["acquire_" + mode] = {kAcquire, [lock, acquire](const Arguments& a) -> Json {
                                            return ((*lock).*acquire)(back_off_of(a));
                                          }};
    subject.methods["release_" + mode] = {{}, [lock, release](const Arguments&) -> Json {
                                            ((*lock).*release)();
                                            return nullptr;
                                          }};
    subject.contexts[mode] = {{"delay", "max_delay"},
                              [lock, acquire](const Arguments& a) -> Json {
                                ((*lock).*acquire)(back_off_of(a));
                                return nullptr;
                              },
                              [lock, release] { ((*lock).*release)(); }};
  };
  serve_mode("read_lock", &ReaderWriterLock::acquire_read_lock,
             &ReaderWriterLock::release_read_lock);
  serve_mode("write_lock", &ReaderWriterLock::acquire_write_lock,
             &ReaderWriterLock::release_write_lock);
}

/// What a decorated function does: "ret:JSON", "raise:NAME", "sleep:SECONDS" or "recurse", which
/// calls `again` unless it is told that it is the inner call.
Json perform(const std::string& body, bool inner, const std::function<Json()>& again) {
  const std::size_t colon = body.find(':');
  const std::string what = body.substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : body.substr(colon + 1);
  if (what == "ret") return Json::parse(argument);
  if (what == "raise") throw RemoteError{argument, "deco"};
  if (what == "recurse") return inner ? Json(0) : again();
  if (what == "sleep") sleep_through_signals(Seconds(std::stod(argument)));
  return nullptr;
}

template <class Wrap>
void serve_decorated(Subject& subject, const std::string& path, const std::string& body,
                     Wrap&& wrap) {
  using Function = std::function<Json(bool inner)>;
  auto decorated = std::make_shared<Function>();
  // The wrapper calls itself by a pointer that does not keep it alive.
  *decorated = wrap(path, Function([body, self = std::weak_ptr<Function>(decorated)](bool inner) {
                      return perform(body, inner, [&] { return (*self.lock())(true); });
                    }));
  subject.methods[""] = {
      {"inner"}, [decorated](const Arguments& a) -> Json { return (*decorated)(a.has("inner")); }};
}

void serve_decorated(Subject& subject, const Json& positional, const Json& keywords) {
  const Arguments a({"decorator", "path", "body"}, positional, keywords);
  const std::string which = a.text("decorator"), path = path_of(a.at("path")),
                    body = a.text("body");
  const auto serve_with = [&](auto wrap) { serve_decorated(subject, path, body, wrap); };
  if (which == "interprocess_locked") {
    serve_with([](auto at, auto f) { return inter_process_locked(at, f); });
  } else if (which == "interprocess_read_locked") {
    serve_with([](auto at, auto f) { return inter_process_read_locked(at, f); });
  } else if (which == "interprocess_write_locked") {
    serve_with([](auto at, auto f) { return inter_process_write_locked(at, f); });
  } else {
    throw RemoteError{"AttributeError", "module 'fasteners' has no attribute '" + which + "'"};
  }
}

}  // namespace

Made make_fasteners(const std::string& name, const Json& positional, const Json& keywords) {
  auto subject = std::make_shared<Subject>();
  subject->type = name;
  if (name == "InterProcessLock") {
    serve(*subject, make<Lock>(positional, keywords));
  } else if (name == "InterProcessReaderWriterLock") {
    serve(*subject, make<ReaderWriterLock>(positional, keywords));
  } else if (name == "deco") {
    subject->type = "function";
    serve_decorated(*subject, positional, keywords);
  } else {
    return nullptr;
  }
  return subject;
}

}  // namespace hobbs::agent
