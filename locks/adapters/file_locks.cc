// The kernel's three families of file locks, on a whole file: fcntl (POSIX, owned by the process),
// OFD (owned by the open file description) and flock (likewise, and independent of the other two).
//
// Each worker opens the path for itself. Nothing looks whether the path still names the same file:
// that is the business of locks built on these. An open file that cannot be had shows as a system
// error (EBADF) of each call.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "locks/adapters/adapters.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

class OpenFile {
 public:
  explicit OpenFile(const char* path)
      : descriptor_(::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// What a call did that returned `result`; `done` if it succeeded.
Outcome outcome_of(int result, Outcome done) {
  if (result == 0) return done;
  switch (errno) {
    case EACCES:
    case EAGAIN: return Outcome::kBusy;
    case EINTR: return Outcome::kInterrupted;
    case EDEADLK: return Outcome::kDeadlock;
    default: return Outcome::kSystemError;
  }
}

enum class Owner : std::uint8_t { kProcess, kDescription };

/// A record lock over the whole file, however long it gets. A change of mode is one step of the
/// kernel's; a refused one leaves the lock as it was.
template <Owner owner>
class RecordLock {
 public:
  static constexpr Claims claims{
      .thread_shared = owner == Owner::kDescription,
      .releaser = owner == Owner::kProcess ? Releaser::kProcess : Releaser::kThread,
      .crash = CrashBehaviour::kReleasedBySystem,
      .exec_is_death = true,
      .reports_errors = true,
      .content_ignored = true,
      .across_namespaces = true,
      .waits_asleep = true,
      .finds_deadlock = owner == Owner::kProcess ? Deadlock::kRing : Deadlock::kUnnoticed};

  explicit RecordLock(const char* path) : file_(path) {}

  Outcome lock() { return set(kWait, F_WRLCK); }
  Outcome try_lock() { return set(kNow, F_WRLCK); }
  Outcome unlock() { return set(kNow, F_UNLCK, Outcome::kReleased); }
  Outcome lock_shared() { return set(kWait, F_RDLCK); }
  Outcome try_lock_shared() { return set(kNow, F_RDLCK); }
  Outcome unlock_shared() { return unlock(); }
  Outcome try_upgrade() { return refused_if_busy(set(kNow, F_WRLCK)); }
  Outcome downgrade() { return set(kNow, F_RDLCK, Outcome::kReleased); }

 private:
  static constexpr int kWait = owner == Owner::kProcess ? F_SETLKW : F_OFD_SETLKW;
  static constexpr int kNow = owner == Owner::kProcess ? F_SETLK : F_OFD_SETLK;

  Outcome set(int command, short type, Outcome done = Outcome::kAcquired) {
    struct flock whole {};
    whole.l_type = type;
    whole.l_whence = SEEK_SET;
    return outcome_of(::fcntl(file_.get(), command, &whole), done);
  }
  static Outcome refused_if_busy(Outcome outcome) {
    return outcome == Outcome::kBusy ? Outcome::kUpgradeRefused : outcome;
  }

  OpenFile file_;
};

/// No upgrade or downgrade: flock(2) gives up the old lock before it asks for the new one.
class FileLock {
 public:
  static constexpr Claims claims{.crash = CrashBehaviour::kReleasedBySystem,
                                 .exec_is_death = true,
                                 .reports_errors = true,
                                 .content_ignored = true,
                                 .across_namespaces = true,
                                 .waits_asleep = true};

  explicit FileLock(const char* path) : file_(path) {}

  Outcome lock() { return set(LOCK_EX); }
  Outcome try_lock() { return set(LOCK_EX | LOCK_NB); }
  Outcome unlock() { return set(LOCK_UN, Outcome::kReleased); }
  Outcome lock_shared() { return set(LOCK_SH); }
  Outcome try_lock_shared() { return set(LOCK_SH | LOCK_NB); }
  Outcome unlock_shared() { return unlock(); }

 private:
  Outcome set(int operation, Outcome done = Outcome::kAcquired) {
    return outcome_of(::flock(file_.get(), operation), done);
  }

  OpenFile file_;
};

}  // namespace

Catalog file_locks() {
  using adapters::peer;
  return {
      peer(path_spec_of<RecordLock<Owner::kProcess>>("fcntl"),
           "POSIX record lock over a whole file, owned by the process.", "fcntl(2)"),
      peer(path_spec_of<RecordLock<Owner::kDescription>>("ofd"),
           "Record lock over a whole file, owned by the open file description.", "fcntl(2)"),
      peer(path_spec_of<FileLock>("flock"), "BSD lock of an open file description.", "flock(2)"),
  };
}

}  // namespace hobbs
