#include "locks/seeds/lock_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "locks/errors.h"

namespace hobbs {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return "";
  const std::size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? path.substr(0, slash + 1) : path.substr(0, end + 1);
}

bool is_folder(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

/// Makes the folder and those above it; false if it is there.
bool make_folder(const std::string& path) {
  int made = ::mkdir(path.c_str(), 0777);
  if (made != 0 && errno == ENOENT) {
    const std::string above = folder_of(path);
    if (!above.empty()) {
      make_folder(above);
      made = ::mkdir(path.c_str(), 0777);
    }
  }
  if (made == 0) return true;
  const int error = errno;
  if (error == EISDIR || (error == EEXIST && is_folder(path))) return false;
  throw LockError(error, "'" + path + "'");
}

}  // namespace

bool LockFile::exists() const {
  struct stat found {};
  return ::stat(path_.c_str(), &found) == 0;
}

void LockFile::open(const Logger& log) {
  if (path_.find('\0') != std::string::npos) {
    throw LockError(LockErrorKind::kBadArgument, "embedded null byte");
  }
  if (is_open()) return;
  const int access = mode_ == Mode::kExclusive ? O_WRONLY : O_RDWR;
  const auto open_now = [&] {
    // O_NONBLOCK, which fasteners does not give: a FIFO in its place is an error, and not a wait
    // for a reader. (Of a file with somebody's lease on it open() then says so and does not wait.)
    descriptor_ = ::open(path_.c_str(), access | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
    return descriptor_ >= 0;
  };
  if (open_now()) return;
  if (errno == ENOENT || errno == ENOTDIR) {  // The folder is looked at only if it is at fault.
    const std::string folder = folder_of(path_);
    if (!folder.empty() && make_folder(folder) && log) {
      log(kTraceLevel, "Created lock base path `" + folder + "`");
    }
    if (open_now()) return;
  }
  throw LockError(errno, "'" + path_ + "'");
}

int LockFile::descriptor() const {
  if (!is_open()) throw LockError(LockErrorKind::kNotOpen, "the lock's file is not open");
  return descriptor_;
}

bool LockFile::try_lock(Mode mode) {
  struct flock whole {};
  whole.l_type = mode == Mode::kExclusive ? F_WRLCK : F_RDLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(descriptor(), F_SETLK, &whole) == 0) return true;
  if (errno == EACCES || errno == EAGAIN) return false;
  throw LockError(errno, "Unable to acquire lock on `" + path_ + "`");
}

void LockFile::unlock() {
  struct flock whole {};
  whole.l_type = F_UNLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(descriptor(), F_SETLKW, &whole) != 0) {
    throw LockError(errno, "Could not unlock the acquired lock opened on `" + path_ + "`");
  }
}

void LockFile::close() {
  if (is_open()) ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace hobbs
