#include "harness/free/gang.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

#include "harness/free/arena.h"
#include "harness/free/stall.h"
#include "harness/free/story.h"
#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr milliseconds kTick{2};
constexpr microseconds kChurnTick{150};
constexpr milliseconds kChurnPhase{20};  // On and off in turn: some bugs show only in quiet.
constexpr milliseconds kGrace{8000};     // For a gang to drain, if it is neither stuck nor done.

/// Which process each worker is a thread of.
std::vector<std::vector<std::size_t>> placed(std::size_t workers, Topology topology) {
  const std::size_t per_process = topology == Topology::kThreads ? workers
                                  : topology == Topology::kMixed ? 2
                                                                 : 1;
  std::vector<std::vector<std::size_t>> processes;
  for (std::size_t i = 0; i < workers; ++i) {
    if (i % per_process == 0) processes.emplace_back();
    processes.back().push_back(i);
  }
  return processes;
}

class Gang {
 public:
  explicit Gang(const Job& job)
      : job_(job),
        ops_(use_hooks(job) ? job.lock->hooked : job.lock->real),
        locks_(locks_of(job.program)),
        arena_(ops_, locks_),
        stall_(*arena_, *job.lock),
        dice_(job.seed) {
    assignment_ = {job.lock, &ops_, job.program, job.nemesis, job.seed, job.directory + "/lock"};
    RealPlatform::registry();  // Before any fork.
    arena_->workers.store(static_cast<std::uint32_t>(job.program.workers.size()));
    arena_->expected.store(arena_->workers.load());
    arena_->rounds_wanted.store(job.rounds);
    for (std::size_t i = 0; i < job.program.workers.size(); ++i) {
      arena_->slots[i].id.store(id_of(job.program, i));
    }
    if (job.lock->home == Home::kPath) return;
    for (std::size_t i = 0; i < locks_; ++i) ops_.construct(arena_->lock_at(i), nullptr);
  }
  ~Gang() { end_all(); }
  Gang(const Gang&) = delete;
  Gang& operator=(const Gang&) = delete;

  JobEnd run() {
    for (const auto& workers : placed(job_.program.workers.size(), job_.topology)) start(workers);
    while (!ended()) {
      disturb();
      RealPlatform::futex_wait(arena_->done, done_seen_, RealPlatform::now() + tick());
      done_seen_ = arena_->done.load();
      reap();
      if (const auto stuck = stall_.look(running_); stuck && !end_.breach) end_.breach = *stuck;
    }
    // The story is told from a still picture.
    arena_->over.store(1);
    end_all();
    take_violation();
    if (end_.breach) complete(*end_.breach);
    count();
    return std::move(end_);
  }

 private:
  static bool use_hooks(const Job& job) {
    return needs_hooks(job.nemesis) && job.lock->hooked.available();
  }

  void start(const std::vector<std::size_t>& workers) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork of a worker");
    if (pid > 0) {
      running_.push_back(pid);
      return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    const auto run_one = [this](std::size_t index) { Worker(assignment_, *arena_, index).run(); };
    if (workers.size() == 1) {
      run_one(workers.front());
    } else {
      std::vector<std::thread> threads;
      for (const std::size_t index : workers) threads.emplace_back(run_one, index);
      for (std::thread& thread : threads) thread.join();
    }
    arena_->done.fetch_add(static_cast<std::uint32_t>(workers.size()));
    RealPlatform::futex_wake(arena_->done, 1);
    _exit(0);  // No destructors: they are the coordinator's.
  }

  bool ended() {
    const auto now = Clock::now();
    if (arena_->violation.claimed.load() != 0 || end_.breach || !end_.unsure.empty()) return true;
    if (running_.empty()) return true;
    if (now < job_.until) return false;
    arena_->end_asked.store(1);
    if (stall_.hopeless()) {
      end_.unsure = "nothing moved any more, but what was seen proves nothing";
    } else if (now > job_.until + kGrace && !stall_.suspicious()) {
      end_.unsure = "the round did not come to its end in time";
    }
    return !end_.unsure.empty();
  }

  Clock::duration tick() const {
    return job_.nemesis == Nemesis::Kind::kChurn && !stall_.suspicious()
               ? Clock::duration(kChurnTick)
               : Clock::duration(kTick);
  }

  void disturb() {
    if (job_.nemesis != Nemesis::Kind::kChurn || stall_.suspicious()) return;
    if (((Clock::now() - started_) / kChurnPhase) % 2 == 1) return;
    const auto cores = std::max(1u, std::thread::hardware_concurrency());
    const Slot& slot = arena_->slots[dice_.below(arena_->workers.load())];
    if (slot.thread.load() == 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(dice_.below(cores), &set);
    if (sched_setaffinity(slot.thread.load(), sizeof set, &set) == 0) ++end_.stats.strikes;
  }

  void reap() {
    for (auto it = running_.begin(); it != running_.end();) {
      int status = 0;
      if (waitpid(*it, &status, WNOHANG) != *it) {
        ++it;
        continue;
      }
      if (WIFSIGNALED(status)) tell_death(*it, WTERMSIG(status));
      if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        end_.unsure = fmt::format("a worker's process ended with status {}", WEXITSTATUS(status));
      }
      it = running_.erase(it);
    }
  }

  /// A worker died by itself: inside the lock's code that is the lock's doing.
  void tell_death(pid_t pid, int signal) {
    for (std::uint32_t i = 0; i < arena_->workers.load(); ++i) {
      const Slot& slot = arena_->slots[i];
      if (slot.process.load() != pid || slot.stage.load() != Stage::kCalling) continue;
      Breach breach;
      breach.rule = "LV-2";
      breach.summary = fmt::format(
          "the process of worker {} died of {} in {}", slot.id.load(), strsignal(signal),
          call_words(static_cast<Verb>(slot.verb.load()), static_cast<Mode>(slot.mode.load()),
                     slot.lock.load()));
      end_.breach = std::move(breach);
      return;
    }
    end_.unsure = fmt::format("a worker's process died of {} outside the lock", strsignal(signal));
  }

  void end_all() {
    for (const pid_t pid : running_) kill(pid, SIGKILL);
    for (const pid_t pid : running_) {
      while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    running_.clear();
  }

  void take_violation() {
    const Violation& v = arena_->violation;
    if (v.complete.load() == 0) return;
    Breach breach;
    breach.rule = v.rule;
    breach.summary = v.text;
    breach.history = story_of(*arena_, v.worker, v.other);
    end_.breach = std::move(breach);
  }

  void complete(Breach& breach) const {
    if (breach.history.empty()) breach.history = story_of(*arena_, 0, 0);
    for (std::string& holder : holders_of(*arena_)) breach.evidence.push_back(std::move(holder));
    breach.evidence.push_back(fmt::format("in round {}", arena_->round.load()));
  }

  void count() {
    Stats& stats = end_.stats;
    stats.rounds = arena_->round.load() > 0 ? arena_->round.load() - 1 : 0;
    for (std::uint32_t i = 0; i < arena_->workers.load(); ++i) {
      const Slot& slot = arena_->slots[i];
      stats.acquired += slot.acquired.load();
      stats.contended += slot.contended.load();
      stats.refused += slot.refused.load();
      stats.strikes += slot.delays.load() + slot.signals.load();
    }
  }

  const Job& job_;
  const LockOps& ops_;
  const std::size_t locks_;
  SharedArena arena_;
  Assignment assignment_;
  StallWatch stall_;
  Dice dice_;
  std::vector<pid_t> running_;
  std::uint32_t done_seen_ = 0;
  Clock::time_point started_ = Clock::now();
  JobEnd end_;
};

}  // namespace

Stats& Stats::operator+=(const Stats& other) {
  rounds += other.rounds;
  acquired += other.acquired;
  contended += other.contended;
  refused += other.refused;
  strikes += other.strikes;
  return *this;
}

JobEnd run_job(const Job& job) { return Gang(job).run(); }

}  // namespace hobbs::gang
