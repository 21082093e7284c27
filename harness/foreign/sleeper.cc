#include "harness/foreign/sleeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "harness/conform/evidence.h"

namespace hobbs::foreign {
namespace {

constexpr int kQuietLooks = 20;

}  // namespace

Sleeper::Sleeper(pid_t process) : process_(process) {
  stat_ = ::open(("/proc/" + std::to_string(process) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
}

Sleeper::~Sleeper() {
  if (stat_ >= 0) ::close(stat_);
}

bool Sleeper::seems_asleep() const {
  char text[256];
  const ssize_t length = ::pread(stat_, text, sizeof text - 1, 0);
  if (length <= 0) return false;
  text[length] = 0;
  const char* const state = std::strrchr(text, ')');
  return state != nullptr && state[1] == ' ' && state[2] == 'S';
}

bool Sleeper::waits(bool in_shared_wait) {
  const ThreadSample first = look_at(process_, process_);
  where_ = first.where;
  if (first.rest != Rest::kWaits) {
    quiet_looks_ = 0;
    return false;
  }
  if (!in_shared_wait) return family_rests();
  // Who was woken is not asleep any more at once, and all others are held: one more look will do.
  const ThreadSample second = look_at(process_, process_);
  return second.rest == Rest::kWaits && second.turns == first.turns;
}

bool Sleeper::family_rests() {
  std::int64_t turns = 0;
  bool rests = true;
  for (const pid_t thread : threads_of(process_)) {
    const ThreadSample sample = look_at(process_, thread);
    turns += sample.turns;
    rests = rests && sample.rest == Rest::kWaits;
  }
  quiet_looks_ = rests && turns == turns_ ? quiet_looks_ + 1 : 0;
  turns_ = turns;
  return quiet_looks_ >= kQuietLooks;
}

}  // namespace hobbs::foreign
