#include "locks/seed_catalog.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "locks/seeds/inter_process_lock.h"
#include "locks/seeds/inter_process_reader_writer_lock.h"
#include "locks/seeds/process_lock.h"
#include "locks/seeds/process_reentrant_lock.h"
#include "locks/seeds/process_semaphore.h"
#include "locks/seeds/shared_lock.h"
#include "locks/seeds/thread_lock.h"
#include "locks/seeds/thread_reentrant_lock.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

template <template <class> class L>
LockSpec seed(const char* name, const char* summary, const char* source) {
  LockSpec spec = spec_of<L>(name);
  spec.summary = summary;
  spec.source = source;
  spec.seed = true;
  return spec;
}

LockSpec on_path(LockSpec spec, const char* summary, const char* source) {
  spec.summary = summary;
  spec.source = source;
  spec.seed = true;
  return spec;
}

/// The semaphores as the catalogue shows them: two permits at first.
template <class P>
struct TwoPermits : ProcessSemaphore<P> {
  static constexpr Claims claims = {.releaser = Releaser::kAnyone,
                                    .semaphore = true,
                                    .permits = 2,
                                    .counts_above_permits = true,
                                    .checks_misuse = true,
                                    .pristine_when_free = true};
  TwoPermits() : ProcessSemaphore<P>(2) {}
};
template <class P>
struct TwoPermitsAtMost : ProcessSemaphore<P> {
  static constexpr Claims claims = {.releaser = Releaser::kAnyone,
                                    .semaphore = true,
                                    .permits = 2,
                                    .bounded_release = true,
                                    .checks_misuse = true,
                                    .pristine_when_free = true};
  TwoPermitsAtMost() : ProcessSemaphore<P>(2, Bound::kFirstValue) {}
};

/// A semaphore in a file beside the path, as sem_open(3) keeps one in /dev/shm; each worker maps it
/// for itself. What keeps it from being mapped shows in each call.
class MappedSemaphore {
 public:
  using Word = SemaphoreWord<RealPlatform>;

  explicit MappedSemaphore(const std::string& path) noexcept {
    const int file = open_or_make(path + ".semaphore");
    void* at = MAP_FAILED;
    if (file >= 0) at = ::mmap(nullptr, sizeof(Word), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    error_ = errno;
    if (file >= 0) ::close(file);
    if (at != MAP_FAILED) word_ = static_cast<Word*>(at);
  }
  MappedSemaphore(MappedSemaphore&& other) noexcept
      : word_(std::exchange(other.word_, nullptr)), error_(other.error_) {}
  MappedSemaphore& operator=(MappedSemaphore&&) = delete;
  ~MappedSemaphore() {
    if (word_ != nullptr) ::munmap(word_, sizeof(Word));
  }

  bool take(const Patience& patience) { return word().take(patience); }
  bool give(std::uint32_t most) { return word().give(most); }
  std::uint32_t value() const { return word().value(); }

 private:
  /// A file comes to its name complete, so whoever finds it finds a semaphore.
  static int open_or_make(const std::string& path) {
    int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file >= 0 || errno != ENOENT) return file;
    std::string fresh = path + ".XXXXXX";
    file = ::mkostemp(fresh.data(), O_CLOEXEC);
    if (file < 0) return file;
    const Word one(1);
    const bool complete = ::write(file, &one, sizeof one) == sizeof one;
    const bool named = complete && (::link(fresh.c_str(), path.c_str()) == 0 || errno == EEXIST);
    const int error = errno;
    ::unlink(fresh.c_str());
    ::close(file);
    errno = error;
    return named ? ::open(path.c_str(), O_RDWR | O_CLOEXEC) : -1;
  }
  Word& word() const {
    if (word_ == nullptr) throw LockError(error_, "the semaphore's file");
    return *word_;
  }

  Word* word_ = nullptr;
  int error_ = 0;
};

/// The process lock as processes see it that map it at addresses of their own.
struct MappedLock : BasicProcessLock<RealPlatform, MappedSemaphore> {
  static constexpr Claims claims = {.releaser = Releaser::kAnyone, .checks_misuse = true};
  explicit MappedLock(const char* path) : BasicProcessLock(MappedSemaphore(path)) {}
};

/// The file locks with pauses of a hundredth of the documented ones, through the sleep function
/// that they take: waiters that look again after 10 ms hardly ever meet.
void sleep_a_hundredth(Seconds duration) { sleep_through_signals(duration / 100); }

template <class P>
struct BriskLock : InterProcessLock<P> {
  explicit BriskLock(const char* path) : InterProcessLock<P>(path, sleep_a_hundredth) {}
};
template <class P>
struct BriskReaderWriterLock : InterProcessReaderWriterLock<P> {
  explicit BriskReaderWriterLock(const char* path)
      : InterProcessReaderWriterLock<P>(path, sleep_a_hundredth) {}
};

}  // namespace

Catalog seed_catalog() {
  return {
      seed<ThreadLock>("thread_lock", "Python's threading.Lock: anyone releases; timed.",
                       "Python library reference, threading.Lock"),
      seed<ThreadReentrantLock>("thread_reentrant_lock", "Python's threading.RLock; timed.",
                                "Python library reference, threading.RLock"),
      seed<ProcessLock>(
          "process_lock",
          "Python's multiprocessing.Lock, in the same semaphore: anyone releases; timed.",
          "Python library reference, multiprocessing.Lock"),
      on_path(path_spec_of<MappedLock>("process_lock_mapped"),
              "The process lock in a file that each worker maps at an address of its own; timed.",
              "Python library reference, multiprocessing.Lock; sem_open(3)"),
      seed<ProcessReentrantLock>("process_reentrant_lock", "Python's multiprocessing.RLock; timed.",
                                 "Python library reference, multiprocessing.RLock"),
      seed<TwoPermits>("process_semaphore",
                       "Python's multiprocessing.Semaphore, of two permits at first; timed.",
                       "Python library reference, multiprocessing.Semaphore"),
      seed<TwoPermitsAtMost>("process_bounded_semaphore",
                             "Python's multiprocessing.BoundedSemaphore, of two permits; timed.",
                             "Python library reference, multiprocessing.BoundedSemaphore"),
      on_path(path_spec_of<BriskLock>("inter_process_lock"),
              "fasteners' InterProcessLock: a file that the kernel locks for a process; timed. "
              "Here with short pauses.",
              "fasteners, Process Lock API; fcntl(2)"),
      on_path(path_spec_of<BriskReaderWriterLock>("inter_process_reader_writer_lock"),
              "fasteners' InterProcessReaderWriterLock, likewise; try upgrade, downgrade; timed.",
              "fasteners, Process Lock API; fcntl(2)"),
      seed<SharedLock>(
          "shared_lock",
          "multiprocessing_utils' SharedLock: shared or exclusive, held by a thread; timed.",
          "multiprocessing_utils, Shared locks"),
      seed<SharedReentrantLock>(
          "shared_reentrant_lock",
          "multiprocessing_utils' SharedRLock: likewise, and re-entrant; timed.",
          "multiprocessing_utils, Shared locks"),
  };
}

}  // namespace hobbs
