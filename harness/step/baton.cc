#include "harness/step/baton.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include "harness/explore/bounded_search.h"
#include "harness/step/breakpoints.h"
#include "harness/step/graph.h"
#include "harness/step/symbols.h"
#include "locks/real_platform.h"

namespace hobbs::step {
namespace {

constexpr std::size_t kSitesMax = 256;
constexpr std::size_t kDepthMax = 2000;
constexpr int kPatience_ms = 300;
constexpr int kAnyNumber = 1 << 30;  // Of preemptions.

enum Status : int { kRunning, kStopped, kAsleep, kDone };

/// What all workers share. The one that has the turn is the only one that writes the search.
struct Arena {
  std::atomic<int> turn{-1};
  std::atomic<int> status[kMaxStepWorkers];
  std::atomic<int> arrived{0};
  std::atomic<std::uint64_t> epoch{0};
  std::atomic<std::size_t> traps{0};
  std::atomic<int> holder{0};
  std::atomic<bool> finished{false}, broken{false}, stalled{false}, endless{false};
  explicit Arena(int preemptions) : search(preemptions) {}

  int workers = 0;
  std::uint64_t schedules = 0, stops = 0, fingerprint = 0;
  std::size_t depth = 0;  // Of the current schedule.
  explore::BoundedSearchOn<explore::FixedBranches<kDepthMax>> search;
  Shared initial;
};

long raw_syscall(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
void give_way() { raw_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0); }

/// One worker, in its own process. What it does at a stop calls nothing of the C library: the
/// breakpoints may stand there.
class BatonWorker {
 public:
  BatonWorker(Arena& arena, World& world, const std::vector<Site>& sites, int w)
      : arena_(arena), world_(world), sites_(sites), index_(w) {}

  [[noreturn]] void run(Breakpoints::Kind kind) {
    instance_ = this;
    const auto stop = [](std::size_t site, StopRegisters& at) { instance_->stop(site, at); };
    const Breakpoints breakpoints(sites_, stop, kind);
    if (!breakpoints.placed()) ::_exit(1);
    arena_.traps.store(sites_.size() - breakpoints.jumps());
    for (std::uint64_t epoch = 0;; ++epoch) {
      while (arena_.epoch.load() != epoch) give_way();
      if (arena_.finished.load()) break;
      first_stop_ = true;
      run_program();
      arena_.status[index_].store(kDone);
      const int next = decide_or_stall();
      if (next >= 0) {
        arena_.turn.store(next);
      } else {
        end_schedule();
      }
    }
    raw_syscall(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    __builtin_unreachable();
  }

 private:
  void run_program() {
    void* const lock = reinterpret_cast<void*>(world_.image().object());
    int depth = 0;  // Of a lock that its holder may take again.
    for (const hobbs::Step& step : world_.program().workers[static_cast<std::size_t>(index_)]) {
      if (step.verb == Verb::kRelease) {
        releasing_ = depth == 1;
        world_.lock().real.release(lock);
        let_go();
        if (depth > 0) --depth;
      } else if (holds(world_.lock().real.acquire(lock)) && depth++ == 0) {
        if (arena_.holder.exchange(index_ + 1) != 0) arena_.broken.store(true);
      }
    }
  }

  /// The hold lasts until the release's first shared access: it may have begun no earlier.
  void let_go() {
    if (releasing_) arena_.holder.store(0);
    releasing_ = false;
  }

  /// Before the instruction: waits for its turn, then lets it happen.
  void stop(std::size_t site, StopRegisters& registers) {
    const bool is_syscall = sites_[site].is_syscall;
    yields_ = is_syscall && registers.rax == SYS_sched_yield;
    wait_for_turn();
    note(site);
    if (!is_syscall) return;
    registers.rax = static_cast<std::uint64_t>(system_call(registers));
    // Whoever is woken before the kernel has put it to sleep is told so, and not that it was woken.
    note(registers.rax == static_cast<std::uint64_t>(-EAGAIN) ? 0 : registers.rax);
  }

  void note(std::uint64_t what) {
    constexpr std::uint64_t kPrime = 0x100000001b3;  // As FNV does.
    const auto worker = static_cast<std::uint64_t>(index_);
    arena_.fingerprint = (arena_.fingerprint ^ (what << 8 | worker)) * kPrime;
  }

  void wait_for_turn() {
    const bool had_turn = arena_.turn.load() == index_;
    arena_.status[index_].store(kStopped);
    if (first_stop_) {
      first_stop_ = false;
      // All must have come to their first stop before the first decision is taken.
      if (arena_.arrived.fetch_add(1) + 1 == arena_.workers) arena_.turn.store(decide());
    } else if (had_turn) {
      arena_.turn.store(decide());
    }
    while (arena_.turn.load() != index_) give_way();
    arena_.status[index_].store(kRunning);
    let_go();
  }

  long system_call(const StopRegisters& r) {
    const long number = static_cast<long>(r.rax), operation = r.rsi & FUTEX_CMD_MASK;
    const auto* word = reinterpret_cast<const volatile std::uint32_t*>(r.rdi);
    const bool sleeps = number == SYS_futex &&
                        (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET) &&
                        *word == static_cast<std::uint32_t>(r.rdx);
    if (sleeps) {
      arena_.status[index_].store(kAsleep);
      arena_.turn.store(decide_or_stall());
    }
    const int asleep = sleepers();
    const long result = raw_syscall(number, r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9);
    if (number == SYS_futex && (operation == FUTEX_WAKE || operation == FUTEX_WAKE_BITSET)) {
      // Who was woken runs to its next stop without the turn: only then is it known who can go on.
      while (sleepers() > asleep - result) give_way();
    }
    return result;
  }

  int sleepers() const {
    int count = 0;
    for (int i = 0; i < arena_.workers; ++i) count += arena_.status[i].load() == kAsleep ? 1 : 0;
    return count;
  }

  /// Nobody can go on. Who was on the way into the kernel when the word changed comes back of
  /// itself; only if nobody does for long are they asleep for ever.
  bool somebody_comes_back() const {
    const int before = sleepers();
    for (int i = 0; i < kPatience_ms; ++i) {
      timespec moment{0, 1'000'000};
      raw_syscall(SYS_nanosleep, reinterpret_cast<long>(&moment), 0, 0, 0, 0, 0);
      if (sleepers() != before) return true;
    }
    return false;
  }

  /// Decides until somebody can go on; -1 if all are done.
  int decide_or_stall() {
    for (;;) {
      const int next = decide();
      if (next >= 0 || sleepers() == 0) return next;
      if (somebody_comes_back()) continue;
      arena_.stalled.store(true);
      for (;;) give_way();
    }
  }

  /// The next worker by the search; -1 if nobody can go on.
  int decide() {
    explore::Scene scene;
    scene.workers = arena_.workers;
    for (int i = 0; i < arena_.workers; ++i) {
      if (arena_.status[i].load() == kStopped) scene.ready |= 1u << i;
    }
    if (scene.ready == 0) return -1;
    // Who gives the processor away lets others go first; who comes first at all is no preemption.
    if (yields_) scene.yielded = scene.ready & 1u << index_;
    scene.current = arena_.depth == 0 ? -1 : index_;
    ++arena_.stops;
    if (arena_.depth++ == kDepthMax) {
      arena_.endless.store(true);
      for (;;) give_way();
    }
    return arena_.search.next(scene).worker;
  }

  /// Everybody is done: begins the next schedule.
  void end_schedule() {
    ++arena_.schedules;
    if (arena_.broken.load() || !arena_.search.begin()) arena_.finished.store(true);
    arena_.depth = 0;
    arena_.holder.store(0);
    arena_.arrived.store(0);
    arena_.turn.store(-1);
    world_.image().copy_to_machine(0, arena_.initial);
    for (int i = 0; i < arena_.workers; ++i) arena_.status[i].store(kRunning);
    arena_.epoch.fetch_add(1);
  }

  static inline BatonWorker* instance_ = nullptr;
  Arena& arena_;
  World& world_;
  const std::vector<Site>& sites_;
  const int index_;
  bool first_stop_ = false, yields_ = false, releasing_ = false;
};

/// Where the model stops in the lock's code; or why breakpoints cannot stand there.
std::vector<Site> sites_of(World& world, std::int64_t deadline_ns, std::string& refusal) {
  Graph graph(world);
  SearchLimits limits;
  limits.deadline_ns = deadline_ns;
  const Graph::End end = graph.explore(world.initial(), limits);
  if (end == Graph::End::kUnknown || end == Graph::End::kLimit) {
    refusal = graph.summary();
    return {};
  }
  std::vector<Site> sites;
  Decoder decoder;
  for (const std::uint64_t address : graph.space().stops()) {
    const Instruction* instruction = decoder.at(address);
    if (instruction == nullptr) continue;
    if (instruction->is_relative || sites.size() == kSitesMax) {
      refusal = "code that cannot be moved at " + symbol_of(address);
      return {};
    }
    sites.push_back({address, instruction->length, is_syscall(*instruction)});
  }
  return sites;
}

/// Until the search has ended, a worker has (which none should), or time is up.
void watch(const Arena& arena, std::int64_t deadline_ns, const std::vector<pid_t>& workers,
           BatonReport& report) {
  const auto now_ns = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };
  while (!arena.finished.load() && !arena.stalled.load() && !arena.endless.load() &&
         now_ns() < deadline_ns) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    for (const pid_t pid : workers) {
      siginfo_t ended{};
      ::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (ended.si_pid == 0 || arena.finished.load()) continue;
      report.refusal = "a worker ended of itself, status " + std::to_string(ended.si_status);
      return;
    }
  }
}

void tell(const Arena& arena, BatonReport& report) {
  report.schedules = arena.schedules;
  report.stops = arena.stops;
  report.traps = arena.traps.load();
  report.fingerprint = arena.fingerprint;
  report.divergences = arena.search.divergences();
  report.complete = arena.finished.load() && !arena.broken.load() && report.divergences == 0;
  if (arena.stalled.load()) report.finding = "those that are not done sleep for ever";
  if (arena.broken.load()) report.finding = "two workers held the lock at once";
  if (arena.endless.load()) report.refusal = "a schedule without end";
}

}  // namespace

bool is_plain(const Program& program) {
  for (const auto& steps : program.workers) {
    for (const hobbs::Step& step : steps) {
      const bool acquires = step.verb == Verb::kAcquire && step.mode == Mode::kExclusive;
      if (!acquires && step.verb != Verb::kRelease) return false;
    }
  }
  return true;
}

BatonReport run_all_schedules(World& world, int preemptions, std::int64_t deadline_ns,
                              Breakpoints::Kind kind) {
  BatonReport report;
  if (const Claims& claims = world.lock().claims; claims.semaphore && claims.permits > 1) {
    report.refusal = "more than one may hold it";
    return report;
  }
  const std::vector<Site> sites = sites_of(world, deadline_ns, report.refusal);
  report.sites = sites.size();
  if (!report.refusal.empty()) return report;
  void* const at =
      ::mmap(nullptr, sizeof(Arena), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) {
    report.refusal = "no memory";
    return report;
  }
  Arena& arena = *new (at) Arena(preemptions < 0 ? kAnyNumber : preemptions);
  arena.workers = static_cast<int>(world.program().workers.size());
  arena.search.begin();
  arena.initial = world.initial().shared;
  world.image().copy_to_machine(0, arena.initial);
  const int core = ::sched_getcpu();
  std::vector<pid_t> workers;
  for (int w = 0; w < arena.workers; ++w) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<std::size_t>(core), &one);
      ::sched_setaffinity(0, sizeof one, &one);
      RealPlatform::attach(static_cast<std::uint32_t>(w + 1));
      BatonWorker(arena, world, sites, w).run(kind);
    }
    workers.push_back(pid);
  }
  watch(arena, deadline_ns, workers, report);
  for (const pid_t pid : workers) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  tell(arena, report);
  ::munmap(at, sizeof(Arena));
  return report;
}

}  // namespace hobbs::step
