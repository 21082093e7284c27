#include "harness/step/tracee.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "locks/real_platform.h"

namespace hobbs::step {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPatience{10000};
constexpr int kSignal = SIGUSR1;  // Handled, and not restarting what it interrupts.
constexpr int kHandlerInstructionsMax = 1000;

}  // namespace

Tracee::Tracee(std::size_t w, const LockSpec& lock, const Image& image) : index_(w) {
  pid_ = ::fork();
  if (pid_ < 0) refuse("cannot fork");
  if (pid_ == 0) child_main(lock, image);
  wait_for_stop();
  if (::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL) != 0) {
    refuse(
        "no permission to trace (kernel.yama.ptrace_scope=3 or a seccomp filter forbids it; in a "
        "container allow SYS_PTRACE)");
  }
  registers_ = read_registers();
}

void Tracee::child_main(const LockSpec& lock, const Image& image) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  void* const low = reinterpret_cast<void*>(kStackTop - kStackMapping);
  if (::mmap(low, kStackMapping, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != low) {
    ::_exit(1);
  }
  struct sigaction ends_sleeps {};
  ends_sleeps.sa_handler = [](int) {};
  ::sigaction(kSignal, &ends_sleeps, nullptr);
  RealPlatform::attach(static_cast<std::uint32_t>(index_ + 1));
  if (image.on_path()) {
    // Its own descriptors, so that what it holds ends with it. What the parent has open stays.
    void* const object = reinterpret_cast<void*>(image.object());
    std::memset(object, 0, lock.real.size);
    lock.real.construct(object, image.path().c_str());
  }
  // The C library's cached thread id is refreshed by fork itself.
  ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  ::raise(SIGSTOP);
  ::_exit(0);
}

void Tracee::begin_call(std::uint64_t entry, std::uint64_t first, std::uint64_t second) {
  const user_regs_struct before = read_registers();
  registers_ = before;
  registers_.rax = registers_.rbx = registers_.rcx = registers_.rdx = registers_.rbp = 0;
  registers_.r8 = registers_.r9 = registers_.r10 = registers_.r11 = 0;
  registers_.r12 = registers_.r13 = registers_.r14 = registers_.r15 = 0;
  registers_.rdi = first;
  registers_.rsi = second;
  registers_.rsp = kStackTop - 8;
  registers_.rip = entry;
  registers_.eflags = 0x202;
  registers_.orig_rax = ~0ull;
  write_memory(kStackTop - 8, &kReturnAddress, 8);
  write_registers();
}

void Tracee::single_step(bool may_block) {
  if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, 0) != 0) refuse("cannot step");
  running_ = true;
  if (may_block) {
    wait_until_asleep_or_stopped();
  } else {
    wait_for_stop();
  }
  if (!running_) registers_ = read_registers();
}

bool Tracee::comes_back() {
  const Clock::time_point until = Clock::now() + kPatience;
  while (running_ && Clock::now() < until) {
    if (poll_stop()) registers_ = read_registers();
  }
  return !running_;
}

bool Tracee::interrupt(std::uint64_t returns_to) {
  if (::kill(pid_, kSignal) != 0) refuse("cannot send a signal");
  if (!comes_back()) return false;
  // The step that fell asleep may end first. Then into the handler, through it, and back to where
  // the interrupted call returns.
  bool delivered = false;
  for (int i = 0; i < kHandlerInstructionsMax; ++i) {
    const long deliver = stop_signal_ == kSignal ? kSignal : 0;
    delivered |= deliver != 0;
    if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, deliver) != 0) refuse("cannot step");
    wait_for_stop();
    registers_ = read_registers();
    if (delivered && registers_.rip == returns_to) return true;
  }
  return false;
}

void Tracee::let_go() {
  if (dead() || running_) return;
  ::ptrace(PTRACE_CONT, pid_, nullptr, 0);
  running_ = true;
}

void Tracee::kill() {
  if (dead()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, __WALL);
  pid_ = 0;
  running_ = false;
}

void Tracee::write_memory(std::uint64_t address, const void* from, std::size_t bytes) {
  const iovec local{const_cast<void*>(from), bytes};
  const iovec remote{reinterpret_cast<void*>(address), bytes};
  if (::process_vm_writev(pid_, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(bytes)) {
    refuse("cannot write a worker's memory");
  }
}

std::uint64_t Tracee::read_word(std::uint64_t address) {
  std::uint64_t value = 0;
  const iovec local{&value, 8};
  const iovec remote{reinterpret_cast<void*>(address), 8};
  if (::process_vm_readv(pid_, &local, 1, &remote, 1, 0) != 8) {
    refuse("cannot read a worker's memory");
  }
  return value;
}

void Tracee::write_registers() {
  if (::ptrace(PTRACE_SETREGS, pid_, nullptr, &registers_) != 0) refuse("cannot set registers");
}

char Tracee::scheduler_state() const {
  char path[64], text[512] = {};
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid_);
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return '?';
  const ssize_t length = ::read(file, text, sizeof text - 1);
  ::close(file);
  const char* state = length > 0 ? std::strrchr(text, ')') : nullptr;
  return state == nullptr ? '?' : state[2];
}

bool Tracee::waits_for_others() const {
  if (!running_ || scheduler_state() != 'S') return false;
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/syscall", pid_);
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return false;
  long number = -1;
  unsigned long arguments[4] = {};
  const int read = std::fscanf(file, "%ld %lx %lx %lx %lx", &number, &arguments[0], &arguments[1],
                               &arguments[2], &arguments[3]);
  std::fclose(file);
  if (read != 5) return false;
  if (number == SYS_futex) return arguments[3] == 0;  // No deadline.
  return number == SYS_fcntl || number == SYS_flock || number == SYS_semop;
}

bool Tracee::poll_stop() {
  int status = 0;
  const pid_t got = ::waitpid(pid_, &status, WNOHANG | __WALL);
  if (got < 0) refuse("cannot wait for a worker");
  if (got != pid_) {
    ::sched_yield();
    return false;
  }
  note(status);
  return true;
}

void Tracee::refuse(const std::string& what) const {
  throw Refusal{NativeReport::End::kRefused, what + ": " + std::strerror(errno)};
}

void Tracee::note(int status) {
  if (!WIFSTOPPED(status)) {
    pid_ = 0;
    throw Refusal{NativeReport::End::kDiffers, "a worker ended of itself"};
  }
  stop_signal_ = WSTOPSIG(status);
  running_ = false;
}

void Tracee::wait_for_stop() {
  const Clock::time_point until = Clock::now() + kPatience;
  while (!poll_stop()) {
    if (Clock::now() >= until) {
      throw Refusal{NativeReport::End::kDiffers, "a worker sleeps that ought to go on"};
    }
  }
}

void Tracee::wait_until_asleep_or_stopped() {
  const Clock::time_point until = Clock::now() + kPatience;
  while (Clock::now() < until) {
    if (poll_stop()) return;
    if (scheduler_state() == 'S') return;
  }
}

user_regs_struct Tracee::read_registers() {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) != 0) refuse("cannot read registers");
  return registers;
}

}  // namespace hobbs::step
