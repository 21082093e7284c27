#include "harness/free/attacks.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

namespace hobbs::gang {
namespace {

void limit(pid_t process, __rlimit_resource resource, bool to_nothing) {
  rlimit now{};
  if (prlimit(process, resource, nullptr, &now) != 0) return;
  now.rlim_cur = to_nothing ? 0 : now.rlim_max;
  prlimit(process, resource, &now, nullptr);
}

}  // namespace

bool attack_file(const std::string& path, Dice& dice) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return false;
  switch (dice.below(4)) {
    case 0: {
      const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
      if (file >= 0) close(file);
      return file >= 0;
    }
    case 1: {
      const std::string alias = path + ".alias";
      if (link(path.c_str(), alias.c_str()) != 0) return false;
      unlink(alias.c_str());
      return true;
    }
    case 2: {
      const std::time_t moved = std::time(nullptr) + (dice.below(2) == 0 ? -7200 : 7200);
      const timespec times[2] = {{moved, 0}, {moved, 0}};
      return utimensat(AT_FDCWD, path.c_str(), times, 0) == 0;
    }
    default: return chmod(path.c_str(), dice.below(2) == 0 ? 0600 : 0644) == 0;
  }
}

void make_scarce(pid_t process, Dice& dice) {
  limit(process, dice.below(3) == 0 ? RLIMIT_FSIZE : RLIMIT_NOFILE, true);
}

void make_plenty(pid_t process) {
  limit(process, RLIMIT_NOFILE, false);
  limit(process, RLIMIT_FSIZE, false);
}

}  // namespace hobbs::gang
