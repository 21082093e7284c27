#include "harness/explore/file_system.h"

#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

namespace hobbs::explore {
namespace {

constexpr off_t kEnd = std::numeric_limits<off_t>::max();

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? std::string_view("/")
                                                       : path.substr(0, slash);
}

bool readable(int flags) { return (flags & O_ACCMODE) != O_WRONLY; }
bool writable(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

}  // namespace

void FileSystem::reset() {
  names_.clear();
  files_.clear();
  descriptions_.clear();
  descriptors_.clear();
  changes_ = 0;
  new_file(true, 0755);
  names_.push_back({"/", 0});
}

int FileSystem::new_file(bool directory, mode_t mode) {
  File file;
  file.directory = directory;
  file.mode = mode;
  file.links = 1;
  files_.push_back(std::move(file));
  return static_cast<int>(files_.size()) - 1;
}

int FileSystem::find(std::string_view path) const {
  for (const Name& name : names_) {
    if (name.path == path) return name.file;
  }
  return -1;
}

long FileSystem::parent_error(std::string_view path) const {
  if (path.empty()) return -ENOENT;
  const int parent = find(parent_of(path));
  if (parent < 0) return -ENOENT;
  return files_[static_cast<std::size_t>(parent)].directory ? 0 : -ENOTDIR;
}

/// Why a path that is not there is not there.
long FileSystem::missing(std::string_view path) const {
  const long error = parent_error(path);
  return error != 0 ? error : -ENOENT;
}

const FileSystem::Descriptor* FileSystem::get(std::uint32_t process, int descriptor) const {
  const auto index = static_cast<std::size_t>(descriptor - kFirstDescriptor);
  if (!is_ours(descriptor) || index >= descriptors_.size()) return nullptr;
  const Descriptor& found = descriptors_[index];
  return found.process == process && found.description >= 0 ? &found : nullptr;
}

FileSystem::Description* FileSystem::description(std::uint32_t process, int descriptor) {
  const Descriptor* const found = get(process, descriptor);
  return found == nullptr ? nullptr : &descriptions_[static_cast<std::size_t>(found->description)];
}

long FileSystem::add_descriptor(std::uint32_t process, int description, bool close_on_exec) {
  ++descriptions_[static_cast<std::size_t>(description)].references;
  descriptors_.push_back({process, description, close_on_exec});
  return kFirstDescriptor + static_cast<long>(descriptors_.size()) - 1;
}

/// Closes it. POSIX locks of the whole process on that file go with any descriptor of it; flocks
/// and OFD locks go with the last one of the description.
void FileSystem::drop(Descriptor& descriptor) {
  const int index = descriptor.description;
  Description& open = descriptions_[static_cast<std::size_t>(index)];
  File& file = files_[static_cast<std::size_t>(open.file)];
  const bool last = --open.references == 0;
  const std::size_t gone = std::erase_if(file.locks, [&](const Lock& lock) {
    return lock.family == Lock::Family::kPosix
               ? lock.owner == descriptor.process
               : last && lock.owner == static_cast<std::uint32_t>(index);
  });
  if (gone > 0) ++changes_;
  if (last) --file.opens;
  descriptor.process = kNoProcess;
  descriptor.description = -1;
}

void FileSystem::end_process(std::uint32_t process) {
  for (Descriptor& descriptor : descriptors_) {
    if (descriptor.process == process) drop(descriptor);
  }
}

void FileSystem::exec_child(std::uint32_t process) {
  constexpr std::uint32_t kForeign = UINT32_MAX;  // Never ends while we look.
  for (std::size_t i = 0, n = descriptors_.size(); i < n; ++i) {
    const Descriptor& descriptor = descriptors_[i];
    if (descriptor.process != process || descriptor.close_on_exec) continue;
    add_descriptor(kForeign, descriptor.description, false);
  }
}

long FileSystem::open(std::uint32_t process, std::string_view path, int flags, mode_t mode) {
  int file = find(path);
  if (file < 0) {
    if (const long error = parent_error(path); error != 0) return error;
    if ((flags & O_CREAT) == 0) return -ENOENT;
    file = new_file(false, mode & 07777);
    names_.push_back({std::string(path), file});
    ++changes_;
  } else {
    if ((flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
    const bool directory = files_[static_cast<std::size_t>(file)].directory;
    if (directory && writable(flags)) return -EISDIR;
    if (!directory && (flags & O_DIRECTORY) != 0) return -ENOTDIR;
  }
  File& opened = files_[static_cast<std::size_t>(file)];
  if ((flags & O_TRUNC) != 0 && writable(flags) && !opened.content.empty()) {
    opened.content.clear();
    ++opened.version;
    ++changes_;
  }
  ++opened.opens;
  descriptions_.push_back({file, flags, 0, 0});
  return add_descriptor(process, static_cast<int>(descriptions_.size()) - 1,
                        (flags & O_CLOEXEC) != 0);
}

long FileSystem::close(std::uint32_t process, int descriptor) {
  if (get(process, descriptor) == nullptr) return -EBADF;
  drop(descriptors_[static_cast<std::size_t>(descriptor - kFirstDescriptor)]);
  return 0;
}

long FileSystem::duplicate(std::uint32_t process, int descriptor, bool close_on_exec) {
  const Descriptor* const found = get(process, descriptor);
  if (found == nullptr) return -EBADF;
  return add_descriptor(process, found->description, close_on_exec);
}

long FileSystem::unlink(std::string_view path) {
  const int file = find(path);
  if (file < 0) return missing(path);
  if (files_[static_cast<std::size_t>(file)].directory) return -EISDIR;
  std::erase_if(names_, [path](const Name& name) { return name.path == path; });
  --files_[static_cast<std::size_t>(file)].links;
  ++changes_;
  return 0;
}

bool FileSystem::is_empty(std::string_view directory) const {
  return std::none_of(names_.begin(), names_.end(), [directory](const Name& name) {
    return name.path != directory && parent_of(name.path) == directory;
  });
}

long FileSystem::rename(std::string_view from, std::string_view to) {
  for (const std::string_view path : {from, to}) {  // Both folders are looked up first.
    if (const long error = parent_error(path); error != 0) return error;
  }
  const int file = find(from);
  if (file < 0) return -ENOENT;
  const int over = find(to);
  if (to.starts_with(std::string(from) + "/")) return -EINVAL;
  if (over == file) return 0;
  if (over >= 0) {
    const bool onto_directory = files_[static_cast<std::size_t>(over)].directory;
    if (onto_directory != files_[static_cast<std::size_t>(file)].directory) {
      return onto_directory ? -EISDIR : -ENOTDIR;
    }
    if (onto_directory && !is_empty(to)) return -ENOTEMPTY;
    std::erase_if(names_, [to](const Name& name) { return name.path == to; });
    --files_[static_cast<std::size_t>(over)].links;
  }
  const std::string below = std::string(from) + "/";
  for (Name& name : names_) {
    if (name.path == from) {
      name.path = to;
    } else if (name.path.starts_with(below)) {
      name.path = std::string(to) + name.path.substr(from.size());
    }
  }
  ++changes_;
  return 0;
}

long FileSystem::link(std::string_view from, std::string_view to) {
  const int file = find(from);
  if (file < 0) return missing(from);
  if (find(to) >= 0) return -EEXIST;
  if (const long error = parent_error(to); error != 0) return error;
  if (files_[static_cast<std::size_t>(file)].directory) return -EPERM;
  ++files_[static_cast<std::size_t>(file)].links;
  names_.push_back({std::string(to), file});
  ++changes_;
  return 0;
}

long FileSystem::mkdir(std::string_view path, mode_t mode) {
  if (find(path) >= 0) return -EEXIST;
  if (const long error = parent_error(path); error != 0) return error;
  const int file = new_file(true, mode & 07777);
  names_.push_back({std::string(path), file});
  ++changes_;
  return 0;
}

long FileSystem::rmdir(std::string_view path) {
  const int file = find(path);
  if (file < 0) return missing(path);
  if (!files_[static_cast<std::size_t>(file)].directory) return -ENOTDIR;
  if (!is_empty(path)) return -ENOTEMPTY;
  std::erase_if(names_, [path](const Name& name) { return name.path == path; });
  ++changes_;
  return 0;
}

void FileSystem::fill(int index, struct stat* to) const {
  const File& file = files_[static_cast<std::size_t>(index)];
  *to = {};
  to->st_dev = 1;
  to->st_ino = static_cast<ino_t>(index) + 1;
  to->st_mode = (file.directory ? S_IFDIR : S_IFREG) | file.mode;
  to->st_nlink = static_cast<nlink_t>(file.links);
  to->st_size = static_cast<off_t>(file.content.size());
}

long FileSystem::stat(std::string_view path, struct stat* to) const {
  const int file = find(path);
  if (file < 0) return missing(path);
  fill(file, to);
  return 0;
}

long FileSystem::stat_open(std::uint32_t process, int descriptor, struct stat* to) const {
  const Descriptor* const found = get(process, descriptor);
  if (found == nullptr) return -EBADF;
  fill(descriptions_[static_cast<std::size_t>(found->description)].file, to);
  return 0;
}

long FileSystem::access(std::string_view path) const { return find(path) < 0 ? missing(path) : 0; }

long FileSystem::read_at(std::uint32_t process, int descriptor, void* to, std::size_t bytes,
                         off_t at) {
  const Description* const open = description(process, descriptor);
  if (open == nullptr || !readable(open->flags)) return -EBADF;
  const File& file = files_[static_cast<std::size_t>(open->file)];
  if (file.directory) return -EISDIR;
  if (at < 0) return -EINVAL;
  const auto from = static_cast<std::size_t>(at);
  if (from >= file.content.size()) return 0;
  const std::size_t n = std::min(bytes, file.content.size() - from);
  std::memcpy(to, file.content.data() + from, n);
  return static_cast<long>(n);
}

long FileSystem::write_at(std::uint32_t process, int descriptor, const void* from,
                          std::size_t bytes, off_t at) {
  const Description* const open = description(process, descriptor);
  if (open == nullptr || !writable(open->flags)) return -EBADF;
  if (at < 0) return -EINVAL;
  File& file = files_[static_cast<std::size_t>(open->file)];
  const auto start = static_cast<std::size_t>(at);
  if (file.content.size() < start + bytes) file.content.resize(start + bytes);
  std::memcpy(file.content.data() + start, from, bytes);
  ++file.version;
  ++changes_;
  return static_cast<long>(bytes);
}

long FileSystem::read(std::uint32_t process, int descriptor, void* to, std::size_t bytes) {
  Description* const open = description(process, descriptor);
  if (open == nullptr) return -EBADF;
  const long n = read_at(process, descriptor, to, bytes, open->offset);
  if (n > 0) open->offset += n;
  return n;
}

long FileSystem::write(std::uint32_t process, int descriptor, const void* from, std::size_t bytes) {
  Description* const open = description(process, descriptor);
  if (open == nullptr) return -EBADF;
  if ((open->flags & O_APPEND) != 0) {
    open->offset = static_cast<off_t>(files_[static_cast<std::size_t>(open->file)].content.size());
  }
  const long n = write_at(process, descriptor, from, bytes, open->offset);
  if (n > 0) open->offset += n;
  return n;
}

long FileSystem::seek(std::uint32_t process, int descriptor, off_t to, int whence) {
  Description* const open = description(process, descriptor);
  if (open == nullptr) return -EBADF;
  const auto size = static_cast<off_t>(files_[static_cast<std::size_t>(open->file)].content.size());
  const off_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? open->offset : size;
  if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END) return -EINVAL;
  if (base + to < 0) return -EINVAL;
  return open->offset = base + to;
}

long FileSystem::truncate(std::uint32_t process, int descriptor, off_t bytes) {
  Description* const open = description(process, descriptor);
  if (open == nullptr) return -EBADF;
  if (!writable(open->flags) || bytes < 0) return -EINVAL;
  File& file = files_[static_cast<std::size_t>(open->file)];
  file.content.resize(static_cast<std::size_t>(bytes));
  ++file.version;
  ++changes_;
  return 0;
}

long FileSystem::flags(std::uint32_t process, int descriptor, int command, int value) {
  if (get(process, descriptor) == nullptr) return -EBADF;
  Descriptor& found = descriptors_[static_cast<std::size_t>(descriptor - kFirstDescriptor)];
  Description& open = descriptions_[static_cast<std::size_t>(found.description)];
  switch (command) {
    case F_GETFD: return found.close_on_exec ? FD_CLOEXEC : 0;
    case F_SETFD: found.close_on_exec = (value & FD_CLOEXEC) != 0; return 0;
    case F_GETFL: return open.flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC);
    case F_SETFL: return 0;
    case F_DUPFD: return add_descriptor(process, found.description, false);
    case F_DUPFD_CLOEXEC: return add_descriptor(process, found.description, true);
    default: return -EINVAL;
  }
}

const FileSystem::Lock* FileSystem::conflict(const File& file, const Lock& wanted) const {
  for (const Lock& lock : file.locks) {
    // flock and record locks do not see each other; POSIX and OFD locks do.
    const bool related =
        (lock.family == Lock::Family::kWhole) == (wanted.family == Lock::Family::kWhole);
    const bool own = lock.family == wanted.family && lock.owner == wanted.owner;
    if (!related || own || lock.to <= wanted.from || wanted.to <= lock.from) continue;
    if (lock.exclusive || wanted.exclusive) return &lock;
  }
  return nullptr;
}

/// Replaces what the owner has of the range; gives back what lies outside.
long FileSystem::put_lock(File& file, const Lock& wanted, bool unlock, bool waits) {
  if (!unlock && conflict(file, wanted) != nullptr) return waits ? kBlocks : -EAGAIN;
  std::vector<Lock> kept;
  bool gave_up = false;
  for (const Lock& lock : file.locks) {
    const bool touched = lock.family == wanted.family && lock.owner == wanted.owner &&
                         lock.from < wanted.to && wanted.from < lock.to;
    if (!touched) {
      kept.push_back(lock);
      continue;
    }
    gave_up |= unlock || (lock.exclusive && !wanted.exclusive);
    Lock piece = lock;
    if (lock.from < wanted.from) {
      piece.to = wanted.from;
      kept.push_back(piece);
    }
    if (wanted.to < lock.to) {
      piece = lock;
      piece.from = wanted.to;
      kept.push_back(piece);
    }
  }
  if (!unlock) kept.push_back(wanted);
  file.locks = std::move(kept);
  if (gave_up) ++changes_;
  return 0;
}

long FileSystem::flock(std::uint32_t process, int descriptor, int operation) {
  const Descriptor* const found = get(process, descriptor);
  if (found == nullptr) return -EBADF;
  const auto owner = static_cast<std::uint32_t>(found->description);
  File& file = files_[static_cast<std::size_t>(description(process, descriptor)->file)];
  const int what = operation & ~LOCK_NB;
  if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN) return -EINVAL;
  const Lock wanted{Lock::Family::kWhole, owner, what == LOCK_EX, 0, kEnd};
  if (what == LOCK_UN) return put_lock(file, wanted, true, false);
  // A conversion is not atomic: what was held is given up first (flock(2)).
  const bool converts = std::any_of(file.locks.begin(), file.locks.end(), [&](const Lock& lock) {
    return lock.family == wanted.family && lock.owner == owner &&
           lock.exclusive != wanted.exclusive;
  });
  if (converts) put_lock(file, wanted, true, false);
  return put_lock(file, wanted, false, (operation & LOCK_NB) == 0);
}

long FileSystem::record_lock(std::uint32_t process, int descriptor, int command,
                             struct flock* lock) {
  const Descriptor* const found = get(process, descriptor);
  if (found == nullptr) return -EBADF;
  const Description& open = *description(process, descriptor);
  File& file = files_[static_cast<std::size_t>(open.file)];
  const bool ofd = command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_OFD_GETLK;
  if (ofd && lock->l_pid != 0) return -EINVAL;
  if (lock->l_type == F_RDLCK && !readable(open.flags)) return -EBADF;
  if (lock->l_type == F_WRLCK && !writable(open.flags)) return -EBADF;
  off_t from = lock->l_start;
  if (lock->l_whence == SEEK_CUR) from += open.offset;
  if (lock->l_whence == SEEK_END) from += static_cast<off_t>(file.content.size());
  off_t to = lock->l_len == 0 ? kEnd : from + lock->l_len;
  if (to < from) std::swap(from, to);
  if (from < 0) return -EINVAL;
  const Lock wanted{ofd ? Lock::Family::kOfd : Lock::Family::kPosix,
                    ofd ? static_cast<std::uint32_t>(found->description) : process,
                    lock->l_type == F_WRLCK, from, to};
  if (command == F_GETLK || command == F_OFD_GETLK) {
    const Lock* const other = conflict(file, wanted);
    lock->l_type = other == nullptr ? F_UNLCK : other->exclusive ? F_WRLCK : F_RDLCK;
    if (other == nullptr) return 0;
    lock->l_whence = SEEK_SET;
    lock->l_start = other->from;
    lock->l_len = other->to == kEnd ? 0 : other->to - other->from;
    lock->l_pid = other->family == Lock::Family::kPosix ? static_cast<pid_t>(other->owner) : -1;
    return 0;
  }
  const bool waits = command == F_SETLKW || command == F_OFD_SETLKW;
  return put_lock(file, wanted, lock->l_type == F_UNLCK, waits);
}

}  // namespace hobbs::explore
