// A worker's life outside its steps: start, gates between rounds, checks at each, children, end.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "harness/free/caught_calls.h"
#include "harness/free/file_nemesis.h"
#include "harness/free/patience.h"
#include "harness/free/story.h"
#include "harness/free/worker.h"
#include "harness/lock_file.h"
#include "locks/real_platform.h"
#include "scenarios/suites/many_permits.h"

namespace hobbs::gang {
namespace {

constexpr std::uint32_t kRoundsBeforeCount = 3;
constexpr std::uint32_t kRoundsOnAPath = 2;  // Of workers that open the lock anew: first and again.
constexpr int kLookForEndMs = 10;            // How often it is asked whether the round is over.

/// Removes the files whose names begin like this.
void remove_like(const std::filesystem::path& start) {
  std::error_code ignored;  // What cannot be removed goes with the run's folder.
  for (std::filesystem::directory_iterator it(start.parent_path(), ignored), end; it != end;
       it.increment(ignored)) {
    if (!it->path().filename().string().starts_with(start.filename().string())) continue;
    remove_what_it_names(it->path().string());
    std::filesystem::remove_all(it->path(), ignored);
  }
}

}  // namespace

void Worker::attach() {
  RealPlatform::attach(id_);
  slot_->id.store(id_);
  slot_->process.store(getpid());
  slot_->thread.store(static_cast<std::int32_t>(syscall(SYS_gettid)));
  slot_->dying.store(0);
  slot_->becoming.store(0);
}

void Worker::construct_locks() {
  const std::size_t locks = locks_of(assignment_.program);
  if (lock_.home == Home::kMemory) {
    for (std::size_t i = 0; i < locks; ++i) {
      locks_[i] = arena_.lock_at(i);
      slot_->object[i].store(reinterpret_cast<std::uintptr_t>(locks_[i]));
    }
    return;
  }
  const std::size_t stride = (ops_.size + 255) / 256 * 256;
  own_memory_ = std::aligned_alloc(256, locks * stride);
  if (own_memory_ == nullptr) _exit(1);
  std::memset(own_memory_, 0, locks * stride);
  for (std::size_t i = 0; i < locks; ++i) {
    locks_[i] = static_cast<char*>(own_memory_) + i * stride;
    slot_->object[i].store(reinterpret_cast<std::uintptr_t>(locks_[i]));
    ops_.construct(locks_[i], path_of(i).c_str());
  }
}

/// False if the lock refuses what is in its file's place. Whoever waits there waits in the lock.
bool Worker::construct_or_be_refused() {
  if (arena_.hostile.load() == 0) return construct_locks(), true;
  bool made = true;
  try {
    construct_as_call();
  } catch (...) {
    std::free(own_memory_);
    own_memory_ = nullptr;
    made = false;
  }
  set_stage(Stage::kMoving);
  return made;
}

/// What the lock does when it is constructed is struck, and judged, as an acquire is.
void Worker::construct_as_call() {
  slot_->verb.store(static_cast<std::uint8_t>(Verb::kAcquire));
  slot_->mode.store(static_cast<std::uint8_t>(Mode::kExclusive));
  slot_->lock.store(0);
  slot_->deadline_ns.store(INT64_MAX);
  set_stage(Stage::kCalling);
  construct_locks();
}

std::string Worker::path_of(std::size_t lock) const {
  const std::string path = fmt::format("{}.{}", assignment_.path, lock);
  if (assignment_.nemesis != Nemesis::kFresh) return path;
  return fmt::format("{}.{}", path, rounds_ / kRoundsOnAPath);
}

/// Every worker has a new object, and the objects of now and then a new name.
void Worker::open_anew() {
  destroy_locks();
  const std::uint32_t paths_before = rounds_ / kRoundsOnAPath;
  if (index_ == 0 && rounds_ % kRoundsOnAPath == 0 && paths_before >= 2) {
    // Somebody may still be closing the one before.
    for (std::size_t i = 0; i < locks_of(assignment_.program); ++i) {
      remove_like(fmt::format("{}.{}.{}", assignment_.path, i, paths_before - 2));
    }
  }
  construct_as_call();
  set_stage(Stage::kMoving);
}

/// All are outside, and every worker's calls have returned.
void Worker::make_anew() {
  for (std::size_t i = 0; i < locks_of(assignment_.program); ++i) {
    ops_.destroy(locks_[i]);
    std::memset(locks_[i], 0, ops_.size);
    ops_.construct(locks_[i], path_of(i).c_str());
  }
}

void Worker::destroy_locks() {
  if (own_memory_ == nullptr) return;
  for (std::size_t i = 0; i < locks_of(assignment_.program); ++i) ops_.destroy(locks_[i]);
  std::free(own_memory_);
  own_memory_ = nullptr;
}

void Worker::run() {
  // Before the disturber can find this worker.
  if (sends_signals(assignment_.nemesis)) {
    handle_nemesis_signal(assignment_.nemesis == Nemesis::kRestarts);
  }
  if (assignment_.nemesis == Nemesis::kScarce) signal(SIGXFSZ, SIG_IGN);
  if (assignment_.caught && !catch_calls(slot_->uncatchable)) _exit(1);
  attach();
  construct_locks();
  if (index_ == 0 && assignment_.program.preset != 0) preset();
  arm(assignment_.nemesis, &hook_dice_, slot_, &arena_.clock);
  if (assignment_.with_deaths()) {
    if (gate()) {
      arm_death();
      run_steps(0);
      wait_for_audit();
    }
  } else {
    while (gate()) {
      if (assignment_.nemesis == Nemesis::kFresh && lock_.home == Home::kPath) open_anew();
      const bool anew = strikes_at_rest(assignment_.nemesis);
      if (!anew || construct_or_be_refused()) run_steps(0);
      ++rounds_;
      if (rounds_ == kRoundsBeforeCount) descriptors_ = open_descriptors();
    }
    check_descriptors();
  }
  disarm();
  outlive_forked();
  set_stage(Stage::kDone);
  destroy_locks();
}

void Worker::wait_for_audit() {
  disarm();
  set_stage(Stage::kWaiting);
  arena_.finished.fetch_add(1);
  wait_until([this] { return over() || arena_.audited.load() != 0; });
}

void Worker::arm_death() {
  for (const Fault& fault : assignment_.program.faults) {
    const bool kills =
        fault.kind == Fault::Kind::kKillProcess || fault.kind == Fault::Kind::kKillThread;
    if (!kills || fault.worker != index_) continue;
    if (fault.kind == Fault::Kind::kKillThread) {
      end_thread_at(fault.point);
    } else {
      die_at(fault.point, dice_.below(2) == 0, lock_.home == Home::kPath);
    }
  }
}

void Worker::audit() {
  attach();
  construct_locks();
  arm(Nemesis::kNone, &hook_dice_, slot_, &arena_.clock);
  set_stage(Stage::kMoving);
  for (std::size_t i = 0; i < locks_of(assignment_.program) && !over(); ++i) {
    const auto lock = static_cast<std::uint8_t>(i);
    check_counter(lock);
    // The first who comes may be told of a death, the next may not.
    for (int turn = 0; turn < 2 && !over(); ++turn) {
      const std::uint32_t permits = takes_of_probe(lock_.claims);
      for (std::uint32_t got = 0; got < permits && !over(); ++got) {
        acquire({Verb::kAcquire, Mode::kExclusive, lock, 0});
      }
      while (!holds_.empty() && !over()) release();
    }
  }
  set_stage(Stage::kDone);
  destroy_locks();
}

void Worker::use_once() {
  construct_locks();
  destroy_locks();
}

void Worker::take_and_vanish() {
  attach();
  construct_locks();
  ops_.acquire(locks_[0]);
  slot_->dying.store(1);
}

/// Uses the lock as often as the program says it has been used before.
void Worker::preset() {
  set_stage(Stage::kCalling);
  for (std::uint32_t i = 0; i < assignment_.program.preset && !over(); ++i) {
    preset_pair(ops_, locks_[0]);
    slot_->progress.fetch_add(1, std::memory_order_relaxed);
  }
}

/// A second descriptor of the lock's file comes and goes in the holder's process.
void Worker::close_alias(std::uint8_t lock) {
  const int alias = open(path_of(lock).c_str(), O_RDWR | O_CLOEXEC);
  if (alias < 0) return;
  close(alias);
  slot_->strikes.fetch_add(1, std::memory_order_relaxed);
}

/// All are outside: the locks must be free, whole and as if nothing had happened.
void Worker::look_at_all() {
  check_destroyed();
  for (std::size_t i = 0; i < locks_of(assignment_.program) && !over(); ++i) {
    if (assignment_.nemesis != Nemesis::kStale) check_free(static_cast<std::uint8_t>(i));
    check_pristine(static_cast<std::uint8_t>(i));
  }
}

/// All have closed the lock, as far as it lets them.
void Worker::strike_at_rest() {
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    if (has_open(arena_.slots[i].process.load(), path_of(0))) return;
  }
  if (assignment_.nemesis == Nemesis::kReplaced) {
    if (replace_file(path_of(0), dice_)) slot_->strikes.fetch_add(1);
  } else if (arena_.round.load() % 2 == 1 && put_hostile(path_of(0), dice_)) {
    arena_.hostile.store(1);
    slot_->strikes.fetch_add(1);
  }
}

/// Waits until all have come; false once the gang is to leave.
bool Worker::gate() {
  const bool at_rest = strikes_at_rest(assignment_.nemesis);
  set_stage(Stage::kWaiting);
  if (at_rest) destroy_locks();
  const std::uint32_t round = arena_.round.load();
  if (arena_.arrived.fetch_add(1) + 1 == arena_.expected.load()) {
    if (arena_.hostile.exchange(0) != 0) put_right(path_of(0));
    if (at_rest) construct_locks();
    look_at_all();
    if (at_rest) destroy_locks();
    if (assignment_.nemesis == Nemesis::kFresh && lock_.home == Home::kMemory) make_anew();
    set_stage(Stage::kWaiting);
    arena_.arrived.store(0);
    arena_.met.store(0);
    // One worker decides for all, or some would leave and others wait for them.
    if (arena_.end_asked.load() != 0 || round >= arena_.rounds_wanted.load() || ring_is_full()) {
      arena_.ending.store(1);
    }
    if (at_rest && arena_.ending.load() == 0 && !over()) strike_at_rest();
    arena_.round.store(round + 1);
  } else {
    wait_until([&] { return over() || arena_.round.load() != round; });
  }
  end_sleepers();
  set_stage(Stage::kMoving);
  return !over() && arena_.ending.load() == 0;
}

/// So full that the next round might overwrite what nobody has judged.
bool Worker::ring_is_full() const {
  std::uint32_t most = 0;
  for (std::uint32_t i = 0; i < arena_.workers.load(); ++i) {
    most = std::max(most, arena_.slots[i].written.load(std::memory_order_relaxed));
  }
  return most > kRecordsKept / 4 * 3;
}

/// True in the child, which is a worker of its own from here on.
bool Worker::fork_worker() {
  const std::size_t index = next_child_++;
  Slot& slot = arena_.slots[index];
  slot.stage.store(Stage::kMoving);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid > 0) children_.push_back(pid);
  if (pid < 0) slot.stage.store(Stage::kDone);  // No memory, no fork: the round goes on without.
  if (pid != 0) return false;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  slot_ = &slot;
  recorder_.use(slot, arena_.records_of(index));
  id_ = id_of(assignment_.program, index);
  attach();
  arm(assignment_.nemesis, &hook_dice_, slot_, &arena_.clock);
  holds_.clear();
  depth_.fill(0);
  children_.clear();
  sleepers_.clear();
  return true;
}

void Worker::wait_for_worker(pid_t pid) {
  set_stage(Stage::kWaiting);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  set_stage(Stage::kMoving);
  if (assignment_.caught && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
    return slot_->uncatchable.store(static_cast<std::uint32_t>(Uncatchable::kBlocksSignals));
  }
  if (!WIFSIGNALED(status) || !is_own_doing(WTERMSIG(status)) || over()) return;
  accuse("FK-1", 0,
         fmt::format("a forked child of worker {} died of {} in the lock", id_,
                     strsignal(WTERMSIG(status))));
}

/// A process that has only inherited what exec lets through, and sleeps until the round is over.
/// Until it is that it has everything, and may keep an open file's lock: so that is waited for.
void Worker::start_sleeper() {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) execl("/bin/sleep", "sleep", "3600", static_cast<char*>(nullptr));
    _exit(0);
  }
  close(ends[1]);
  if (pid > 0) {
    sleepers_.push_back(pid);
    slot_->child.store(pid);
    pollfd end{ends[0], POLLIN, 0};
    while (!over() && poll(&end, 1, kLookForEndMs) <= 0) {
    }
  }
  close(ends[0]);
}

void Worker::end_sleepers() {
  for (const pid_t pid : sleepers_) {
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (!sleepers_.empty()) slot_->child.store(0);
  sleepers_.clear();
}

}  // namespace hobbs::gang
