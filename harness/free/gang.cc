#include "harness/free/gang.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <system_error>
#include <thread>

#include "harness/free/arena.h"
#include "harness/free/caught_calls.h"
#include "harness/free/disturber.h"
#include "harness/free/file_nemesis.h"
#include "harness/free/spawn.h"
#include "harness/free/stall.h"
#include "harness/free/story.h"
#include "harness/free/tribunal.h"
#include "harness/lock_file.h"
#include "locks/real_platform.h"

namespace hobbs::gang {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr microseconds kDeathTick{400};
constexpr unsigned kClearSeconds = 2;
constexpr milliseconds kGrace{8000};  // For a gang to drain, if it is neither stuck nor done.

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

/// What a gang leaves at its path, ended in the midst of things, must not meet the next one.
std::string fresh_path(const Job& job) {
  static std::uint64_t serial = 0;
  return fmt::format("{}/lock-{}", job.directory, ++serial);
}

class Gang {
 public:
  /// Tells `end`, empty so far, how it went.
  Gang(const Job& job, JobEnd& end)
      : job_(job),
        end_(end),
        ops_(use_hooks(job) ? job.lock->hooked : job.lock->real),
        locks_(locks_of(job.program)),
        slots_(slots_of(job)),
        arena_(ops_, locks_, slots_),
        assignment_{job.lock,
                    &ops_,
                    job.program,
                    job.nemesis,
                    job.seed,
                    fresh_path(job),
                    job.witness,
                    job.topology == Topology::kThreads,
                    job.catches && catches_calls(*job.lock, job.program, job.nemesis)},
        stall_(*arena_, *job.lock),
        disturber_(job, *arena_, assignment_.path + ".0") {
    arena_.share_registry();
    arena_->clock = calibrated_clock();
    const std::size_t workers = job.program.workers.size();
    arena_->workers.store(static_cast<std::uint32_t>(slots_));
    arena_->expected.store(static_cast<std::uint32_t>(workers));
    arena_->rounds_wanted.store(job.rounds);
    for (std::size_t i = 0; i < slots_; ++i) {
      arena_->slots[i].id.store(id_of(job.program, i));
      if (i >= workers) arena_->slots[i].stage.store(Stage::kDone);
    }
    if (job.lock->home == Home::kPath) return;
    for (std::size_t i = 0; i < locks_; ++i) ops_.construct(arena_->lock_at(i), nullptr);
  }
  ~Gang() {
    end_all();
    if (job_.lock->home == Home::kPath) clear_path();
  }
  Gang(const Gang&) = delete;
  Gang& operator=(const Gang&) = delete;

  void run() {
    if (job_.nemesis == Nemesis::kStale) leave_stale();
    for (const auto& workers : placed(job_.program.workers.size(), job_.topology)) {
      start([this, workers] { run_workers(workers); });
    }
    watch();
    // What workers get because others are ended here is no part of the history.
    const std::uint64_t end = stamp_after(arena_->clock);
    // The story is told from a still picture.
    arena_->over.store(1);
    end_all();
    take_violation();
    count();
    for (std::size_t i = 0; i < slots_ && assignment_.caught; ++i) {
      const auto why = static_cast<Uncatchable>(arena_->slots[i].uncatchable.load());
      if (why != Uncatchable::kNot) find_uncatchable(why);
    }
    if (!end_.breach && !disturbed_) judge(end);
    if (disturbed_) end_.breach.reset();  // What followed may follow from that.
    if (end_.breach) complete(*end_.breach);
    if (end_.breach && excused(*end_.breach)) {
      end_.breach.reset();
      end_.excused = true;
    }
  }

 private:
  static bool use_hooks(const Job& job) {
    const bool of_use =
        needs_hooks(job.nemesis) || job.nemesis == Nemesis::kFresh || !job.program.faults.empty();
    return of_use && job.lock->hooked.available();
  }

  /// The program's workers, those that they fork, and perhaps somebody beside them: an auditor, or
  /// who left the lock stale.
  static std::size_t slots_of(const Job& job) {
    const bool other = !job.program.faults.empty() || job.nemesis == Nemesis::kStale;
    return job.program.workers.size() + forks_of(job.program) + (other ? 1 : 0);
  }
  bool undecided() const {
    return arena_->violation.claimed.load() == 0 && !end_.breach && end_.unsure.empty();
  }

  /// A lock that its dead holder keeps is stuck by contract; but if others get in, then one by one.
  bool excused(const Breach& breach) const {
    if (breach.rule.empty()) return true;
    if (job_.nemesis != Nemesis::kStale) return false;
    if (breach.rule == "CR-5") return job_.lock->claims.crash == CrashBehaviour::kStuck;
    return breach.rule != "ME-1" && breach.rule != "ME-2";
  }

  void watch() {
    while (!ended()) {
      disturber_.disturb(running_, stall_.suspicious());
      RealPlatform::futex_wait(arena_->done, done_seen_, RealPlatform::now() + tick());
      done_seen_ = arena_->done.load();
      reap();
      if (assignment_.with_deaths()) let_audit();
      if (const auto stuck = stall_.look(processes()); stuck && !end_.breach) end_.breach = *stuck;
    }
    disturber_.let_go();
  }

  /// Once all have run their steps or died: those who live stay so until the auditor has been.
  void let_audit() {
    std::size_t gone = arena_->finished.load();
    for (std::size_t i = 0; i < job_.program.workers.size(); ++i) {
      gone += arena_->slots[i].dying.load() != 0 ? 1 : 0;
    }
    if (gone < job_.program.workers.size() || !undecided()) return;
    if (auditor_ == 0) {
      start([this] { Worker(assignment_, *arena_, slots_ - 1).audit(); });
      auditor_ = running_.back();
    } else if (std::count(running_.begin(), running_.end(), auditor_) == 0) {
      arena_->audited.store(1);
    }
  }

  /// All that run the lock: those started here, and those that a worker has forked.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> all = running_;
    const std::size_t workers = job_.program.workers.size();
    for (std::size_t i = workers; i < slots_; ++i) {
      const Slot& slot = arena_->slots[i];
      if (slot.stage.load() != Stage::kDone && slot.process.load() != 0) {
        all.push_back(slot.process.load());
      }
    }
    return all;
  }

  void leave_stale() {
    start([this] { Worker(assignment_, *arena_, slots_ - 1).take_and_vanish(); });
    end_all_after_exit();
    arena_->done.store(0);
  }

  void run_workers(const std::vector<std::size_t>& workers) {
    if (job_.topology == Topology::kSpawn) {
      if (write_order(assignment_, *arena_)) become_spawned(arena_.fd(), workers.front());
      _exit(1);
    }
    const auto run_one = [this](std::size_t index) { Worker(assignment_, *arena_, index).run(); };
    if (workers.size() == 1) return run_one(workers.front());
    std::vector<std::thread> threads;
    for (const std::size_t index : workers) threads.emplace_back(run_one, index);
    for (std::thread& thread : threads) thread.join();
  }

  /// Objects that go by the path go with their last user: in a process, as the lock may misbehave.
  void clear_path() {
    arena_->over.store(1);
    if (arena_->hostile.exchange(0) != 0) put_right(assignment_.path + ".0");
    start([this] {
      alarm(kClearSeconds);
      Worker(assignment_, *arena_, 0).use_once();
    });
    end_all_after_exit();
    for (std::size_t i = 0; i < locks_; ++i) {
      const std::string path = fmt::format("{}.{}", assignment_.path, i);
      remove_what_it_names(path);  // If nobody lived to do so.
      unlink(path.c_str());
    }
  }

  void end_all_after_exit() {
    for (const pid_t pid : running_) {
      int status = 0;
      while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
      }
      const bool caught = assignment_.caught && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
      if (caught) find_uncatchable(Uncatchable::kBlocksSignals);
    }
    running_.clear();
    // What they have left behind has come to this process, where it was made to.
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  template <class Work>
  void start(Work&& work) {
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork of a worker");
    if (pid > 0) {
      running_.push_back(pid);
      return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    work();
    arena_->done.fetch_add(1);
    RealPlatform::futex_wake(arena_->done, 1);
    _exit(0);  // No destructors: they are the coordinator's.
  }

  bool ended() {
    const auto now = Clock::now();
    if (arena_->violation.claimed.load() != 0 || end_.breach || !end_.unsure.empty()) return true;
    if (running_.empty() || (auditor_ != 0 && only_dead_left())) {
      // Without an auditor only if the time was up before the round began.
      return !assignment_.with_deaths() || auditor_ != 0 || arena_->ending.load() != 0;
    }
    if (now < job_.until) return false;
    arena_->end_asked.store(1);
    if (stall_.hopeless()) {
      end_.unsure = "nothing moved any more, but what was seen proves nothing";
    } else if (now > job_.until + kGrace && !stall_.suspicious()) {
      end_.unsure = "the round did not come to its end in time";
    } else if (now > job_.latest) {
      end_.cut = true;
      if (stall_.suspicious()) end_.unsure = "nothing moved when the time was up";
    }
    return end_.cut || !end_.unsure.empty();
  }

  Clock::duration tick() const {
    if (assignment_.with_deaths()) return kDeathTick;  // Of a death nobody tells but waitpid().
    return disturber_.tick(stall_.suspicious());
  }

  void reap() {
    for (auto it = running_.begin(); it != running_.end();) {
      int status = 0;
      const bool kept = job_.nemesis == Nemesis::kZombies && planned_victim(*it) < slots_;
      if (kept || waitpid(*it, &status, WNOHANG) != *it) {
        ++it;
        continue;
      }
      const std::size_t victim = planned_victim(*it);
      if (victim < slots_ && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        gone_[victim] = stamp_after(arena_->clock);
      } else if (WIFSIGNALED(status)) {
        tell_death(*it, WTERMSIG(status));
      }
      disturber_.forget(*it);
      if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        end_.unsure = fmt::format("a worker's process ended with status {}", WEXITSTATUS(status));
      }
      it = running_.erase(it);
    }
  }

  bool only_dead_left() const {
    return std::all_of(running_.begin(), running_.end(),
                       [this](pid_t pid) { return planned_victim(pid) < slots_; });
  }

  /// The slot of the worker that died by the program's faults; slots_ if nobody of this process
  /// did.
  std::size_t planned_victim(pid_t pid) const {
    std::size_t i = 0;
    while (i < slots_ &&
           (arena_->slots[i].process.load() != pid || arena_->slots[i].dying.load() == 0)) {
      ++i;
    }
    return i;
  }

  void find_uncatchable(Uncatchable why) {
    disturbed_ = true;
    end_.uncatchable = fmt::format("its system calls cannot be caught, as {}", to_string(why));
    end_.unsure = end_.uncatchable;
  }

  /// A worker died unplanned. Inside the lock's code that is the lock's doing, unless the signal is
  /// one that comes from somebody else: a user's kill, the kernel short of memory.
  void tell_death(pid_t pid, int signal) {
    if (assignment_.caught && signal == SIGSYS) {
      return find_uncatchable(Uncatchable::kBlocksSignals);
    }
    if (!is_own_doing(signal)) {
      disturbed_ = true;
      end_.unsure =
          fmt::format("a worker's process was ended from outside ({})", strsignal(signal));
      return;
    }
    for (std::uint32_t i = 0; i < arena_->workers.load(); ++i) {
      const Slot& slot = arena_->slots[i];
      if (slot.process.load() != pid || slot.stage.load() != Stage::kCalling) continue;
      Breach breach;
      breach.rule = arena_->destroyed.load() != 0 ? "AB-5" : "LV-2";
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
    end_all_after_exit();
  }

  void take_violation() {
    const Violation& v = arena_->violation;
    if (v.complete.load() == 0) return;
    Breach breach;
    breach.rule = v.rule;
    breach.summary = v.text;
    breach.proven = v.proven;
    breach.history = story_of(*arena_, v.worker, v.other);
    end_.breach = std::move(breach);
  }

  void judge(std::uint64_t end) {
    if (job_.nemesis == Nemesis::kStale) return;  // Who took it first has not recorded it.
    if (job_.nemesis == Nemesis::kRemovals)
      return;  // The next may be in before the release begins.
    Circumstances known;
    known.end = end;
    known.signals = sends_signals(job_.nemesis) || job_.nemesis == Nemesis::kStops;
    known.scarce = takes_away(job_.nemesis) || job_.nemesis == Nemesis::kHostile;
    known.process_of = process_of_workers();
    for (std::size_t i = 0; i < slots_; ++i) {
      const Slot& slot = arena_->slots[i];
      if (slot.dying.load() == 0) continue;
      const StampClock& clock = arena_->clock;
      const auto gone = gone_.find(i);
      known.deaths.push_back(
          {Disturbance::Kind::kKill, slot.id.load(), clock.to_ns(slot.died.load()) - clock.error_ns,
           gone == gone_.end() ? INT64_MAX : clock.to_ns(gone->second) + clock.error_ns});
    }
    Ruling ruling = judge_recorded(*arena_, *job_.lock, known);
    end_.stats.judged = ruling.judged;
    end_.undecided = std::move(ruling.undecided);
    end_.breach.swap(ruling.breach);
  }

  /// By platform id. Whoever is not placed is a process of its own.
  std::vector<std::uint32_t> process_of_workers() const {
    std::vector<std::uint32_t> process(kMaxWorkers + 1);
    for (std::uint32_t id = 0; id <= kMaxWorkers; ++id) process[id] = kMaxWorkers + id;
    std::uint32_t number = 0;
    for (const auto& workers : placed(job_.program.workers.size(), job_.topology)) {
      ++number;
      for (const std::size_t index : workers) process[id_of(job_.program, index)] = number;
    }
    return process;
  }

  void complete(Breach& breach) const {
    if (breach.history.empty()) breach.history = story_of(*arena_, 0, 0);
    for (std::string& holder : holders_of(*arena_)) breach.evidence.push_back(std::move(holder));
    breach.evidence.push_back(fmt::format("in round {}", arena_->round.load()));
    if (job_.nemesis != Nemesis::kNone) {
      breach.evidence.push_back(fmt::format("the nemesis '{}' had struck {} times",
                                            to_string(job_.nemesis), end_.stats.strikes));
    }
    // Who waits then waits for what is gone.
    if (arena_->destroyed.load() != 0 && breach.rule.starts_with("LV")) breach.rule = "AB-5";
  }

  void count() {
    Stats& stats = end_.stats;
    stats.strikes = disturber_.strikes();
    stats.rounds = arena_->round.load() > 0 ? arena_->round.load() - 1 : 0;
    for (std::uint32_t i = 0; i < arena_->workers.load(); ++i) {
      const Slot& slot = arena_->slots[i];
      stats.acquired += slot.acquired.load();
      stats.contended += slot.contended.load();
      stats.refused += slot.refused.load();
      stats.strikes += slot.strikes.load();
      stats.deaths += slot.dying.load();
    }
  }

  const Job& job_;
  JobEnd& end_;
  const LockOps& ops_;
  const std::size_t locks_;
  const std::size_t slots_;
  SharedArena arena_;
  Assignment assignment_;
  StallWatch stall_;
  Disturber disturber_;
  std::vector<pid_t> running_;
  pid_t auditor_ = 0;
  std::map<std::size_t, std::uint64_t> gone_;  // Stamps: when a planned death was over, by slot.
  std::uint32_t done_seen_ = 0;
  bool disturbed_ = false;  // Somebody else ended a worker.
};

}  // namespace

Stats& Stats::operator+=(const Stats& other) {
  rounds += other.rounds;
  acquired += other.acquired;
  contended += other.contended;
  refused += other.refused;
  strikes += other.strikes;
  deaths += other.deaths;
  judged += other.judged;
  return *this;
}

std::string told_rule(const Job& job, const std::string& rule) {
  const auto meant = job.means.find(rule);
  return meant == job.means.end() ? rule : meant->second;
}

JobEnd run_job(const Job& job) {
  JobEnd end;
  Gang(job, end).run();
  return end;
}

}  // namespace hobbs::gang
