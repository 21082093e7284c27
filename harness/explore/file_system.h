// A modelled file system: names, files, open descriptions, descriptors, and the three families of
// file locks, as Linux has them. Pure data: a controlled lock's system calls go here
// (file_calls.cc) instead of to the kernel, so that each can be a step of a schedule and a place to
// die.
//
// Calls return what the system call would, or -errno; kBlocks where it would wait. Modelled: open,
// close, unlink, rename, link, mkdir, rmdir, stat, access, read, write, seek, truncate, flock,
// POSIX and OFD record locks with ranges (fcntl(2), flock(2), open(2)). The root folder exists, and
// permissions always suffice. A descriptor's number is never used twice in one execution.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hobbs::explore {

class FileSystem {
 public:
  static constexpr long kBlocks = -100'000;         // Not an errno.
  static constexpr int kFirstDescriptor = 1 << 20;  // Those of the kernel are below.
  static constexpr std::uint32_t kNoProcess = 0;

  /// Everything is as new: an empty root.
  void reset();
  /// All descriptors of the process are closed, as at its end.
  void end_process(std::uint32_t process);
  /// A program that is executed now, in a child of `process`, and lives on: it inherits every
  /// descriptor without close-on-exec.
  void exec_child(std::uint32_t process);

  /// Counts what others could notice: names, contents, locks given up.
  std::uint64_t changes() const { return changes_; }

  static bool is_ours(int descriptor) { return descriptor >= kFirstDescriptor; }

  long open(std::uint32_t process, std::string_view path, int flags, mode_t mode);
  long close(std::uint32_t process, int descriptor);
  long duplicate(std::uint32_t process, int descriptor, bool close_on_exec);
  long unlink(std::string_view path);
  long rename(std::string_view from, std::string_view to);
  long link(std::string_view from, std::string_view to);
  long mkdir(std::string_view path, mode_t mode);
  long rmdir(std::string_view path);
  long stat(std::string_view path, struct stat* to) const;
  long stat_open(std::uint32_t process, int descriptor, struct stat* to) const;
  long access(std::string_view path) const;
  long read(std::uint32_t process, int descriptor, void* to, std::size_t bytes);
  long write(std::uint32_t process, int descriptor, const void* from, std::size_t bytes);
  long read_at(std::uint32_t process, int descriptor, void* to, std::size_t bytes, off_t at);
  long write_at(std::uint32_t process, int descriptor, const void* from, std::size_t bytes,
                off_t at);
  long seek(std::uint32_t process, int descriptor, off_t to, int whence);
  long truncate(std::uint32_t process, int descriptor, off_t bytes);
  long flags(std::uint32_t process, int descriptor, int command, int value);
  /// flock(2); kBlocks without LOCK_NB.
  long flock(std::uint32_t process, int descriptor, int operation);
  /// F_SETLK, F_SETLKW, F_GETLK and their OFD kin; kBlocks for the waiting ones.
  long record_lock(std::uint32_t process, int descriptor, int command, struct flock* lock);

 private:
  struct Lock {  // A record lock, or an flock (whole file, `whole`).
    enum class Family : std::uint8_t { kPosix, kOfd, kWhole } family;
    std::uint32_t owner;  // A process, or a description.
    bool exclusive;
    off_t from, to;  // Half open.
  };
  struct File {
    bool directory = false;
    mode_t mode = 0;
    int links = 0;
    int opens = 0;
    std::uint64_t version = 0;
    std::string content;
    std::vector<Lock> locks;
  };
  struct Name {
    std::string path;
    int file;
  };
  struct Description {
    int file = -1;
    int flags = 0;
    off_t offset = 0;
    int references = 0;
  };
  struct Descriptor {
    std::uint32_t process = kNoProcess;  // None: closed.
    int description = -1;
    bool close_on_exec = false;
  };

  int find(std::string_view path) const;
  long parent_error(std::string_view path) const;
  long missing(std::string_view path) const;
  bool is_empty(std::string_view directory) const;
  int new_file(bool directory, mode_t mode);
  const Descriptor* get(std::uint32_t process, int descriptor) const;
  Description* description(std::uint32_t process, int descriptor);
  void drop(Descriptor& descriptor);
  long add_descriptor(std::uint32_t process, int description, bool close_on_exec);
  long put_lock(File& file, const Lock& wanted, bool unlock, bool waits);
  const Lock* conflict(const File& file, const Lock& wanted) const;
  void fill(int file, struct stat* to) const;

  std::vector<Name> names_;
  std::vector<File> files_;
  std::vector<Description> descriptions_;
  std::vector<Descriptor> descriptors_;
  std::uint64_t changes_ = 0;
};

}  // namespace hobbs::explore
