// The modelled file system against the kernel's: the same random calls, the same results.
#include "harness/explore/file_system.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

namespace hobbs::explore {
namespace {

constexpr std::uint32_t kMe = 1;

/// Calls go to the kernel, in a folder of the test's own, and to the model; descriptors are known
/// by the order in which they were opened.
class Twins {
 public:
  Twins() {
    std::string pattern = testing::TempDir() + "/hobbs_files_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    model_.reset();
  }
  ~Twins() {
    for (const int descriptor : kernel_) ::close(descriptor);
    std::filesystem::remove_all(folder_);
  }

  /// Does the same to both; the two results, and a name for the message.
  struct Results {
    std::string call;
    long kernel, model;
  };
  Results step(std::mt19937& random) {
    const auto below = [&random](std::size_t n) { return random() % n; };
    const std::string name = std::array{"/a", "/b", "/d", "/d/c"}[below(4)];
    const std::string other = std::array{"/a", "/b", "/d/c"}[below(3)];
    switch (below(14)) {
      case 0:
      case 1: {
        const int flags = std::array{O_RDWR, O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_EXCL,
                                     O_RDONLY, O_RDWR | O_CREAT | O_TRUNC}[below(5)];
        return open(name, flags);
      }
      case 2: return {"unlink " + name, of(::unlink(path(name).c_str())), model_.unlink(name)};
      case 3:
        return {"rename " + name + " " + other,
                of(::rename(path(name).c_str(), path(other).c_str())), model_.rename(name, other)};
      case 4:
        return {"link " + name + " " + other, of(::link(path(name).c_str(), path(other).c_str())),
                model_.link(name, other)};
      case 5: return {"mkdir /d", of(::mkdir(path("/d").c_str(), 0700)), model_.mkdir("/d", 0700)};
      case 6: return {"rmdir /d", of(::rmdir(path("/d").c_str())), model_.rmdir("/d")};
      case 7:
        return {"access " + name, of(::access(path(name).c_str(), F_OK)), model_.access(name)};
      default: break;
    }
    if (kernel_.empty()) return {"nothing", 0, 0};
    return on_descriptor(below(kernel_.size()), random);
  }

 private:
  static long of(long result) { return result < 0 ? -errno : result; }
  std::string path(const std::string& name) const { return folder_ + name; }

  Results open(const std::string& name, int flags) {
    const int kernel = ::open(path(name).c_str(), flags | O_CLOEXEC, 0600);
    const long first = kernel < 0 ? -errno : 0;
    const long model = model_.open(kMe, name, flags | O_CLOEXEC, 0600);
    if (kernel >= 0 && model >= 0) {
      kernel_.push_back(kernel);
      ours_.push_back(static_cast<int>(model));
    }
    return {"open " + name + " " + std::to_string(flags), first, model < 0 ? model : 0};
  }

  Results on_descriptor(std::size_t i, std::mt19937& random) {
    const int kernel = kernel_[i], ours = ours_[i];
    const std::string at = " of descriptor " + std::to_string(i);
    std::array<char, 8> a{}, b{};
    switch (random() % 7) {
      case 0: {
        kernel_.erase(kernel_.begin() + static_cast<std::ptrdiff_t>(i));
        ours_.erase(ours_.begin() + static_cast<std::ptrdiff_t>(i));
        return {"close" + at, of(::close(kernel)), model_.close(kMe, ours)};
      }
      case 1:
        return {"write" + at, of(::write(kernel, "xyz", 3)), model_.write(kMe, ours, "xyz", 3)};
      case 2: {
        const Results results{"read" + at, of(::read(kernel, a.data(), 5)),
                              model_.read(kMe, ours, b.data(), 5)};
        EXPECT_EQ(a, b);
        return results;
      }
      case 3: {
        struct stat real {
        }, mine{};
        const Results results{"fstat" + at, of(::fstat(kernel, &real)),
                              model_.stat_open(kMe, ours, &mine)};
        EXPECT_EQ(real.st_mode & S_IFMT, mine.st_mode & S_IFMT) << at;
        if (!S_ISDIR(real.st_mode)) {
          EXPECT_EQ(real.st_nlink, mine.st_nlink) << at;
          EXPECT_EQ(real.st_size, mine.st_size) << at;
        }
        return results;
      }
      case 4: {
        const int how = std::array{LOCK_EX, LOCK_SH, LOCK_UN}[random() % 3] | LOCK_NB;
        return {"flock " + std::to_string(how) + at, of(::flock(kernel, how)),
                model_.flock(kMe, ours, how)};
      }
      case 5:
        return {"lseek" + at, of(::lseek(kernel, 1, SEEK_CUR)),
                model_.seek(kMe, ours, 1, SEEK_CUR)};
      default: return record_lock(kernel, ours, at, random);
    }
  }

  Results record_lock(int kernel, int ours, const std::string& at, std::mt19937& random) {
    struct flock lock {};
    lock.l_type = std::array<short, 3>{F_RDLCK, F_WRLCK, F_UNLCK}[random() % 3];
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(random() % 3);
    lock.l_len = static_cast<off_t>(random() % 3);  // 0: to the end, wherever that is.
    // One process alone: its POSIX locks never conflict with each other, but do with OFD locks.
    const int command = random() % 3 == 0 ? F_SETLK : F_OFD_SETLK;
    struct flock copy = lock;
    return {(command == F_SETLK ? "F_SETLK " : "F_OFD_SETLK ") + std::to_string(lock.l_type) + " " +
                std::to_string(lock.l_start) + "+" + std::to_string(lock.l_len) + at,
            of(::fcntl(kernel, command, &lock)), model_.record_lock(kMe, ours, command, &copy)};
  }

  std::string folder_;
  FileSystem model_;
  std::vector<int> kernel_, ours_;
};

TEST(FileSystem, DoesWhatTheKernelDoes) {
  constexpr int kSequences = 300;
  constexpr int kSteps = 120;
  for (int seed = 0; seed < kSequences; ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    Twins twins;
    std::string story;
    for (int i = 0; i < kSteps; ++i) {
      const Twins::Results results = twins.step(random);
      story += results.call + ": " + std::to_string(results.kernel) + "\n";
      ASSERT_EQ(results.model, results.kernel) << "seed " << seed << "\n" << story;
    }
  }
}

TEST(FileSystem, AClosedDescriptorDropsAllRecordLocksOfItsProcess) {
  FileSystem files;
  files.reset();
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const auto mine = static_cast<int>(files.open(1, "/a", O_RDWR | O_CREAT, 0600));
  const auto again = static_cast<int>(files.open(1, "/a", O_RDWR, 0));
  const auto other = static_cast<int>(files.open(2, "/a", O_RDWR, 0));
  EXPECT_EQ(files.record_lock(1, mine, F_SETLK, &lock), 0);
  EXPECT_EQ(files.record_lock(2, other, F_SETLKW, &lock), FileSystem::kBlocks);
  EXPECT_EQ(files.close(1, again), 0);
  EXPECT_EQ(files.record_lock(2, other, F_SETLKW, &lock), 0);
}

TEST(FileSystem, AnExecutedProgramKeepsWhatWasNotToBeClosed) {
  FileSystem files;
  files.reset();
  const auto kept = static_cast<int>(files.open(1, "/a", O_RDWR | O_CREAT, 0600));
  const auto closed = static_cast<int>(files.open(1, "/b", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_EQ(files.flock(1, kept, LOCK_EX), 0);
  EXPECT_EQ(files.flock(1, closed, LOCK_EX), 0);
  files.exec_child(1);
  files.end_process(1);
  const auto a = static_cast<int>(files.open(2, "/a", O_RDWR, 0));
  const auto b = static_cast<int>(files.open(2, "/b", O_RDWR, 0));
  EXPECT_EQ(files.flock(2, a, LOCK_EX | LOCK_NB), -EAGAIN);
  EXPECT_EQ(files.flock(2, b, LOCK_EX | LOCK_NB), 0);
}

}  // namespace
}  // namespace hobbs::explore
