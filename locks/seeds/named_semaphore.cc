#include "locks/seeds/named_semaphore.h"

#include <fcntl.h>
#include <sys/random.h>

#include <cerrno>
#include <utility>

#include "locks/reference/identity.h"

namespace hobbs {
namespace {

constexpr int kNamesTried = 100;

std::string random_name(const std::string& infix) {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
  unsigned char drawn[8];
  if (::getrandom(drawn, sizeof drawn, 0) != sizeof drawn) {
    throw LockError(errno, "no random name for a semaphore");
  }
  std::string name = "/mp-" + infix;
  for (const unsigned char byte : drawn) name += kLetters[byte % (sizeof kLetters - 1)];
  return name;
}

}  // namespace

NamedSemaphore::NamedSemaphore(std::string name, int flags, std::uint32_t value)
    : name_(std::move(name)) {
  sem_t* const opened = ::sem_open(name_.c_str(), flags, 0600, value);
  if (opened == SEM_FAILED) throw LockError(errno, "semaphore '" + name_ + "'");
  word_ = reinterpret_cast<SemaphoreWord<RealPlatform>*>(opened);
}

NamedSemaphore NamedSemaphore::create(const std::string& name, std::uint32_t value) {
  NamedSemaphore made(name, O_CREAT | O_EXCL, value);
  made.maker_ = process_identity();
  return made;
}

NamedSemaphore NamedSemaphore::create_unique(std::uint32_t value, const std::string& infix) {
  for (int tried = 1;; ++tried) {
    try {
      return create(random_name(infix), value);
    } catch (const LockError& error) {
      if (error.code().value() != EEXIST || tried == kNamesTried) throw;
    }
  }
}

NamedSemaphore NamedSemaphore::open(const std::string& name) { return {name, 0, 0}; }

NamedSemaphore NamedSemaphore::open_or_create(const std::string& name, std::uint32_t value) {
  return {name, O_CREAT, value};
}

NamedSemaphore::NamedSemaphore(NamedSemaphore&& other) noexcept
    : name_(std::move(other.name_)),
      maker_(std::exchange(other.maker_, 0)),
      word_(std::exchange(other.word_, nullptr)) {}

NamedSemaphore::~NamedSemaphore() {
  if (word_ == nullptr) return;
  ::sem_close(reinterpret_cast<sem_t*>(word_));
  if (maker_ == process_identity()) ::sem_unlink(name_.c_str());
}

}  // namespace hobbs
