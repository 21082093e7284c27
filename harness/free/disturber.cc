#include "harness/free/disturber.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "harness/free/file_nemesis.h"

namespace hobbs::gang {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kTick{2};
constexpr microseconds kChurnTick{150};
constexpr microseconds kStrikeTick{250};
constexpr milliseconds kPhase{20};
constexpr std::uint32_t kHeldUsMin = 200, kHeldUsMax = 3200;

void limit(pid_t process, __rlimit_resource resource, bool to_nothing) {
  rlimit now{};
  if (prlimit(process, resource, nullptr, &now) != 0) return;
  now.rlim_cur = to_nothing ? 0 : now.rlim_max;
  prlimit(process, resource, &now, nullptr);
}

}  // namespace

bool Disturber::is_on(bool quiet) const {
  return !quiet && ((Clock::now() - started_) / kPhase) % 2 == 0;
}

Disturber::Clock::duration Disturber::tick(bool quiet) const {
  if (!is_on(quiet) || job_.nemesis == Nemesis::kNone || needs_hooks(job_.nemesis)) return kTick;
  return job_.nemesis == Nemesis::kChurn ? kChurnTick : kStrikeTick;
}

void Disturber::disturb(const std::vector<pid_t>& running, bool quiet) {
  const bool on = is_on(quiet);
  if (held_ != 0 && (!on || Clock::now() >= held_until_)) let_go();
  if (!on) return;
  const Slot& slot = choose();
  const pid_t process = slot.process.load();
  if (slot.thread.load() == 0 || std::count(running.begin(), running.end(), process) == 0) return;
  strike(slot, process);
}

const Slot& Disturber::choose() {
  const std::size_t workers = job_.program.workers.size();
  const std::uint32_t first = dice_.below(static_cast<std::uint32_t>(workers));
  // A signal is for somebody who waits.
  for (std::size_t i = 0; sends_signals(job_.nemesis) && i < workers; ++i) {
    const Slot& slot = arena_.slots[(first + i) % workers];
    if (slot.stage.load() == Stage::kCalling) return slot;
  }
  return arena_.slots[first];
}

void Disturber::strike(const Slot& slot, pid_t process) {
  switch (job_.nemesis) {
    case Nemesis::kChurn: return move(slot.thread.load());
    case Nemesis::kSignals:
    case Nemesis::kRestarts:  // Their handler counts them.
      if (slot.stage.load() == Stage::kCalling) {
        syscall(SYS_tgkill, process, slot.thread.load(), nemesis_signal());
      }
      return;
    case Nemesis::kFiles: strikes_ += touch_file(path_, dice_) ? 1 : 0; return;
    case Nemesis::kGarbled: strikes_ += garble_file(path_, dice_) ? 1 : 0; return;
    case Nemesis::kScarce:
      if (held_ != 0) return;
      limit(process, dice_.below(3) == 0 ? RLIMIT_FSIZE : RLIMIT_NOFILE, true);
      break;
    case Nemesis::kStops:
      if (held_ != 0 || dice_.below(4) != 0) return;
      kill(process, SIGSTOP);
      break;
    default: return;
  }
  held_ = process;
  held_until_ = soon();
  ++strikes_;
}

void Disturber::move(pid_t thread) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(dice_.below(std::max(1u, std::thread::hardware_concurrency())), &set);
  if (sched_setaffinity(thread, sizeof set, &set) == 0) ++strikes_;
}

Disturber::Clock::time_point Disturber::soon() {
  return Clock::now() + microseconds(kHeldUsMin + dice_.below(kHeldUsMax - kHeldUsMin));
}

void Disturber::let_go() {
  if (held_ != 0 && job_.nemesis == Nemesis::kStops) kill(held_, SIGCONT);
  if (held_ != 0 && job_.nemesis == Nemesis::kScarce) {
    limit(held_, RLIMIT_NOFILE, false);
    limit(held_, RLIMIT_FSIZE, false);
  }
  held_ = 0;
}

void Disturber::forget(pid_t process) {
  if (held_ == process) held_ = 0;
}

}  // namespace hobbs::gang
