#include "harness/agent/spec_subject.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "locks/real_platform.h"

namespace hobbs::agent {
namespace {

/// Where the lock is; unmapped when nobody in this process has it any more, and then destroyed only
/// if nobody else can have it.
struct Place {
  const LockSpec* spec = nullptr;
  void* at = nullptr;
  bool owned = false;
  ~Place() {
    if (at == nullptr) return;
    if (owned && spec->real.destroy != nullptr) spec->real.destroy(at);
    ::munmap(at, spec->real.size);
  }
};

void* map(std::size_t size, int flags, int fd) {
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (at == MAP_FAILED) throw LockError(errno, "no memory for a lock");
  return at;
}

void* map_file(const std::string& path, std::size_t size, bool create) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
  if (fd < 0) throw LockError(errno, path);
  if (create && ::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    const int why = errno;
    ::close(fd);
    throw LockError(why, path);
  }
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const int why = errno;
  ::close(fd);
  if (at == MAP_FAILED) throw LockError(why, path);
  return at;
}

std::shared_ptr<Place> place_of(const LockSpec& spec, const std::string& path, bool create) {
  auto place = std::make_shared<Place>();
  place->spec = &spec;
  const std::size_t size = spec.real.size;
  const bool shared = spec.home == Home::kMemory && spec.claims.process_shared;
  if (shared) {
    place->at = map_file(path, size, create);
  } else {
    place->at = map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    place->owned = true;
  }
  if (create || !shared) spec.real.construct(place->at, path.c_str());
  return place;
}

struct Named {
  const char* name;
  Outcome (*LockOps::*call)(void*);
};
constexpr Named kCalls[] = {
    {"acquire", &LockOps::acquire},
    {"try_acquire", &LockOps::try_acquire},
    {"release", &LockOps::release},
    {"acquire_shared", &LockOps::acquire_shared},
    {"try_acquire_shared", &LockOps::try_acquire_shared},
    {"release_shared", &LockOps::release_shared},
    {"upgrade", &LockOps::upgrade},
    {"try_upgrade", &LockOps::try_upgrade},
    {"downgrade", &LockOps::downgrade},
};
struct NamedUntil {
  const char* name;
  Outcome (*LockOps::*call)(void*, std::int64_t);
};
constexpr NamedUntil kTimedCalls[] = {
    {"acquire_for", &LockOps::acquire_until},
    {"acquire_shared_for", &LockOps::acquire_shared_until},
};

/// A thread is who it says it is: anew at each call, since a fork copies what it was.
void become(const Arguments& arguments) {
  const double worker = arguments.number("worker", 0);
  if (worker < 1 || worker > kMaxWorkers) throw RemoteError{"ValueError", "no such worker"};
  RealPlatform::attach(static_cast<std::uint32_t>(worker));
}

void add_methods(Subject& subject, const std::shared_ptr<Place>& place) {
  const LockOps& ops = place->spec->real;
  for (const Named& named : kCalls) {
    const auto call = ops.*named.call;
    if (call == nullptr) continue;
    subject.methods[named.name] = {{"worker"}, [place, call](const Arguments& a) -> Json {
                                     become(a);
                                     return to_string(call(place->at));
                                   }};
  }
  for (const NamedUntil& named : kTimedCalls) {
    const auto call = ops.*named.call;
    if (call == nullptr) continue;
    subject.methods[named.name] = {
        {"worker", "seconds"}, [place, call](const Arguments& a) -> Json {
          become(a);
          const std::chrono::nanoseconds now = RealPlatform::now().time_since_epoch();
          const auto wait_ns = static_cast<std::int64_t>(a.number("seconds", 0) * 1e9);
          return to_string(call(place->at, now.count() + wait_ns));
        }};
  }
}

}  // namespace

std::shared_ptr<Subject> make_spec_subject(const Catalog& catalog, const std::string& kind,
                                           const Json& positional, const Json& keywords) {
  const bool create = kind == "hobbs.lock";
  if (!create && kind != "hobbs.attach") throw RemoteError{"KeyError", kind};
  const Arguments arguments({"name", "path"}, positional, keywords);
  const std::string name = arguments.text("name");
  const auto spec = std::find_if(catalog.begin(), catalog.end(),
                                 [&](const LockSpec& one) { return one.name == name; });
  if (spec == catalog.end() || !spec->real.available()) throw RemoteError{"KeyError", name};
  auto subject = std::make_shared<Subject>();
  subject->type = name;
  add_methods(*subject, place_of(*spec, arguments.text("path"), create));
  return subject;
}

}  // namespace hobbs::agent
