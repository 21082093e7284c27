#include "harness/step/plain_trial.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "harness/step/step_result.h"
#include "harness/step/symbols.h"
#include "harness/step/world.h"

namespace hobbs::step {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{5};  // A timed call's deadline is a second away.
constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

/// What the child's handler leaves to its parent.
struct Place {
  std::uint64_t rip = 0;
  std::uint64_t address = 0;
  bool has_address = false;  // The kernel does not tell of one that no memory can have.
};

/// Memory that a child and its parent share.
class SharedPlace {
 public:
  SharedPlace()
      : at_(::mmap(nullptr, sizeof(Place), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                   0)) {
    if (at_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  }
  ~SharedPlace() { ::munmap(at_, sizeof(Place)); }
  SharedPlace(const SharedPlace&) = delete;
  SharedPlace& operator=(const SharedPlace&) = delete;
  Place* get() const { return static_cast<Place*>(at_); }

 private:
  void* at_;
};

Place* place = nullptr;  // In the child.

void on_fault(int, siginfo_t* info, void* context) {
  const auto* machine = static_cast<const ucontext_t*>(context);
  place->rip = static_cast<std::uint64_t>(machine->uc_mcontext.gregs[REG_RIP]);
  place->address = reinterpret_cast<std::uint64_t>(info->si_addr);
  place->has_address = info->si_code != SI_KERNEL;
}

[[noreturn]] void run_child(const StepCase& one, Place* shared) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  place = shared;
  alignas(16) static std::uint8_t stack[16384];  // A fault may be of the stack.
  const stack_t own{stack, 0, sizeof stack};
  ::sigaltstack(&own, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  // Once: the instruction is then run again, and ends the process as it would have.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  for (const int signal : kFaults) ::sigaction(signal, &action, nullptr);
  try {
    const World world(one.lock, one.program.program, one.options);
  } catch (const std::exception&) {
    ::_exit(0);  // Whoever makes the world is told the same.
  }
  ::_exit(0);
}

/// Waits for the child's end; false if it was ended because time was up.
bool ends_in_time(pid_t pid, Clock::time_point until, int& status) {
  const int file = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (file < 0) throw std::system_error(errno, std::generic_category(), "pidfd_open");
  pollfd end{file, POLLIN, 0};
  bool ended = false;
  for (auto now = Clock::now(); !ended && now < until; now = Clock::now()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    ended = ::poll(&end, 1, static_cast<int>(left.count())) > 0;
  }
  ::close(file);
  if (!ended) ::kill(pid, SIGKILL);
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return ended;
}

std::string name_of(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? "signal " + std::to_string(signal) : std::string("SIG") + name;
}

std::string hex(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "%#llx", static_cast<unsigned long long>(value));
  return text;
}

std::string where(const Place& fault, int signal) {
  if (fault.rip == 0) return "";
  if (fault.rip == fault.address) return ": it jumps to " + hex(fault.address);
  const bool in_memory = fault.has_address && (signal == SIGSEGV || signal == SIGBUS);
  return " at " + symbol_of(fault.rip) +
         (in_memory ? ", which reaches for " + hex(fault.address) : "");
}

}  // namespace

PlainTrial try_plainly(const StepCase& one, Clock::time_point until) {
  const SharedPlace shared;
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) run_child(one, shared.get());
  int status = 0;
  PlainTrial trial;
  if (!ends_in_time(pid, std::min(until, Clock::now() + kPatience), status)) {
    trial.end = PlainTrial::End::kHung;
    trial.what = "did not come back";
  } else if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    const bool faulted =
        std::find(std::begin(kFaults), std::end(kFaults), signal) != std::end(kFaults);
    trial.end = faulted ? PlainTrial::End::kFaulted : PlainTrial::End::kEnded;
    trial.what = "died of " + name_of(signal) + (faulted ? where(*shared.get(), signal) : "");
  } else if (WEXITSTATUS(status) != 0) {
    trial.end = PlainTrial::End::kEnded;
    trial.what = "ended with exit status " + std::to_string(WEXITSTATUS(status));
  }
  return trial;
}

namespace {

/// A bit for each call that a program makes.
unsigned calls_of(const StepCase& one) {
  const LockOps made = World::calls_made(one.lock.real, one.program.program);
  const bool is_made[] = {made.acquire != nullptr,
                          made.try_acquire != nullptr,
                          made.acquire_until != nullptr,
                          made.acquire_shared != nullptr,
                          made.try_acquire_shared != nullptr,
                          made.acquire_shared_until != nullptr};
  unsigned bits = 0;
  for (const bool made_one : is_made) bits = 2 * bits + (made_one ? 1 : 0);
  return bits;
}

Result result_of_trial(const StepCase& one, const PlainTrial& trial, const PlainTrial& again) {
  Result result = base_result(one);
  result.verdict = Verdict::kInconclusive;
  result.reason = "a process that made these calls once, alone, " + trial.what;
  if (trial.end != PlainTrial::End::kFaulted) return result;
  if (again.end != PlainTrial::End::kFaulted) {
    result.reason += ", and did not when it was tried again";
    return result;
  }
  result.verdict = Verdict::kFail;
  result.rule = "LV-2";
  Finding finding;
  finding.summary = std::move(result.reason);
  finding.program = to_text(one.program.program);
  finding.evidence.push_back("two processes of their own, in which nobody else used the lock");
  finding.failed = finding.of = 2;
  SearchReport report;
  report.rule = result.rule;
  finding.replay_json = to_json(to_replay(one, report));
  result.finding = std::move(finding);
  result.reason.clear();
  return result;
}

}  // namespace

std::optional<Result> PlainTrials::failure(const StepCase& one, Clock::time_point until) {
  const std::size_t workers = one.lock.home == Home::kPath ? one.program.program.workers.size() : 0;
  const auto [at, is_new] = known_.try_emplace({calls_of(one), workers});
  if (is_new) {
    const PlainTrial trial = try_plainly(one, until);
    if (trial.end == PlainTrial::End::kWell) return std::nullopt;
    const bool faulted = trial.end == PlainTrial::End::kFaulted;
    Result result = result_of_trial(one, trial, faulted ? try_plainly(one, until) : PlainTrial{});
    at->second = result.finding ? result.finding->summary : result.reason;
    return result;
  }
  if (at->second.empty()) return std::nullopt;
  Result result = base_result(one);
  result.verdict = Verdict::kInconclusive;
  result.reason = "not searched: " + at->second;
  return result;
}

}  // namespace hobbs::step
