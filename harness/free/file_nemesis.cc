#include "harness/free/file_nemesis.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <string_view>
#include <vector>

namespace hobbs::gang {
namespace {

namespace fs = std::filesystem;

constexpr std::time_t kMovedBySeconds = 7200;
constexpr std::uint32_t kGarbageBytesMax = 64;
constexpr mode_t kMode = 0600;
constexpr std::string_view kAside = ".aside", kFresh = ".fresh";

bool is_there(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

bool open_and_close(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file >= 0) close(file);
  return file >= 0;
}

bool link_and_unlink(const std::string& path) {
  const std::string alias = path + ".alias";
  if (link(path.c_str(), alias.c_str()) != 0) return false;
  unlink(alias.c_str());
  return true;
}

bool move_time(const std::string& path, Dice& dice) {
  const bool back = dice.below(2) == 0;
  const std::time_t moved = std::time(nullptr) + (back ? -kMovedBySeconds : kMovedBySeconds);
  const timespec times[2] = {{moved, 0}, {moved, 0}};
  return utimensat(AT_FDCWD, path.c_str(), times, 0) == 0;
}

bool write_garbage(const std::string& path, Dice& dice) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::string bytes(1 + dice.below(kGarbageBytesMax), 0);
  for (char& byte : bytes) byte = static_cast<char>(dice.next());
  const bool written = pwrite(file, bytes.data(), bytes.size(), 0) > 0;
  close(file);
  return written;
}

/// The lock's files, in an order that is the same each time.
std::vector<std::string> files_of(const std::string& path) {
  std::vector<std::string> files;
  const fs::path start(path);
  std::error_code ignored;
  for (fs::directory_iterator it(start.parent_path(), ignored), end; it != end;
       it.increment(ignored)) {
    const bool of_lock = it->path().filename().string().starts_with(start.filename().string());
    if (of_lock && it->is_regular_file(ignored)) files.push_back(it->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

bool touch_file(const std::string& path, Dice& dice) {
  if (!is_there(path)) return false;
  switch (dice.below(4)) {
    case 0: return open_and_close(path);
    case 1: return link_and_unlink(path);
    case 2: return move_time(path, dice);
    default: return chmod(path.c_str(), dice.below(2) == 0 ? kMode : 0644) == 0;
  }
}

bool garble_file(const std::string& path, Dice& dice) {
  if (!is_there(path)) return false;
  switch (dice.below(4)) {
    case 0: return truncate(path.c_str(), 0) == 0;
    case 1: return truncate(path.c_str(), dice.below(kGarbageBytesMax)) == 0;
    case 2: return move_time(path, dice);
    default: return write_garbage(path, dice);
  }
}

bool remove_file(const std::string& path, Dice& dice) {
  if (dice.below(2) == 0) return unlink(path.c_str()) == 0;
  if (!is_there(path)) return false;
  const std::string fresh = path + std::string(kFresh) + std::to_string(dice.next());
  const int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kMode);
  if (file < 0) return false;
  close(file);
  return rename(fresh.c_str(), path.c_str()) == 0 || (unlink(fresh.c_str()), false);
}

bool has_open(pid_t process, const std::string& path) {
  std::error_code ignored;
  const std::string start =
      fs::weakly_canonical(fs::path(path).parent_path(), ignored) / fs::path(path).filename();
  const fs::path descriptors = "/proc/" + std::to_string(process) + "/fd";
  for (fs::directory_iterator it(descriptors, ignored), end; it != end; it.increment(ignored)) {
    if (fs::read_symlink(it->path(), ignored).string().starts_with(start)) return true;
  }
  return false;
}

bool replace_file(const std::string& path, Dice& dice) {
  const std::vector<std::string> files = files_of(path);
  if (files.empty()) return false;
  const std::string& file = files[dice.below(static_cast<std::uint32_t>(files.size()))];
  if (dice.below(2) == 0) return unlink(file.c_str()) == 0;
  const std::string fresh = file + std::string(kFresh);
  std::error_code failed;
  fs::copy_file(file, fresh, fs::copy_options::overwrite_existing, failed);
  if (failed) return false;
  return rename(fresh.c_str(), file.c_str()) == 0;
}

bool put_hostile(const std::string& path, Dice& dice) {
  const std::vector<std::string> files = files_of(path);
  if (files.empty()) return false;
  const std::string& file = files.front();
  if (rename(file.c_str(), (file + std::string(kAside)).c_str()) != 0) return false;
  if (dice.below(2) == 0) return mkfifo(file.c_str(), kMode) == 0;
  return mkdir(file.c_str(), 0700) == 0;
}

void put_right(const std::string& path) {
  const fs::path start(path);
  std::error_code ignored;
  std::vector<std::string> aside;
  for (fs::directory_iterator it(start.parent_path(), ignored), end; it != end;
       it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(start.filename().string())) continue;
    if (it->is_fifo(ignored) || it->is_directory(ignored)) {
      fs::remove_all(it->path(), ignored);
    } else if (name.ends_with(kAside)) {
      aside.push_back(it->path().string());
    }
  }
  for (const std::string& file : aside) {
    rename(file.c_str(), file.substr(0, file.size() - kAside.size()).c_str());
  }
}

}  // namespace hobbs::gang
