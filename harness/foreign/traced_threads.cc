// What a traced process has beside the thread that makes its calls, and its beginning and end.
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "harness/conform/evidence.h"
#include "harness/foreign/remote.h"
#include "harness/foreign/traced.h"

namespace hobbs::foreign {

void Traced::seize(pid_t thread, bool caller) {
  long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
  if (options_.memory) options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
  const bool seized = ::ptrace(PTRACE_SEIZE, thread, nullptr, options) == 0;
  // Started just now by one that is traced, it is traced already; or it has just ended.
  const bool known = !seized && !caller && (errno == EPERM || errno == ESRCH);
  if (seized || known) {
    if (!caller) others_.push_back(thread);
  } else {
    refuse_trace("cannot trace the agent");
  }
}

Traced::~Traced() {
  try {
    if (held_ != Held::kGone) {
      if (held_ == Held::kRunning) stop_now();
      guard(false);
      ::ptrace(PTRACE_DETACH, process_, nullptr, deliver_);
      held_ = Held::kGone;
    }
    for (const pid_t thread : others_) let_go(thread);
  } catch (const std::runtime_error&) {
    kill();  // It would fault where nobody helps it.
  }
}

/// Of one of the other threads; it may have ended meanwhile.
void Traced::let_go(pid_t thread) {
  if (::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0) return;
  try {
    const int status = wait_for_stop(thread);
    const bool plain = WIFSTOPPED(status) && status >> 16 == 0;
    const int signal = plain && WSTOPSIG(status) != SIGSEGV ? WSTOPSIG(status) : 0;
    ::ptrace(PTRACE_DETACH, thread, nullptr, signal);
  } catch (const std::runtime_error&) {
    // The others are let go all the same.
  }
}

void Traced::kill() {
  if (held_ == Held::kGone) return;
  try {
    // The kernel looks at robust locks in its memory when it dies, and needs the rights.
    if (held_ == Held::kRunning) stop_now();
    guard(false);
  } catch (const std::runtime_error&) {
    // It has died meanwhile.
  }
  ::kill(process_, SIGKILL);
  // The first thread's end is told when all others have been waited for.
  int status = 0;
  for (;;) {
    for (const pid_t thread : threads_of(process_)) {
      if (thread != process_) ::waitpid(thread, &status, __WALL | WNOHANG);
    }
    const pid_t got = ::waitpid(process_, &status, __WALL | WNOHANG);
    if (got == process_ && !WIFSTOPPED(status)) break;
    if (got < 0 && errno != EINTR) break;
    ::sched_yield();
  }
  others_.clear();
  note_exit(status);
}

void Traced::serve_others() {
  const std::vector<pid_t> others = others_;
  for (const pid_t thread : others) {
    int status = 0;
    const pid_t got = ::waitpid(thread, &status, __WALL | WNOHANG);
    if (got == thread) serve_other(thread, status);
    if (got < 0 && errno == ECHILD) std::erase(others_, thread);
  }
}

/// A new thread is one of the others. A new process is not ours, and has no rights to the memory
/// that it shares.
void Traced::take_child(pid_t thread, int event) {
  if (event != PTRACE_EVENT_CLONE && event != PTRACE_EVENT_FORK && event != PTRACE_EVENT_VFORK) {
    return;
  }
  unsigned long message = 0;
  ::ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &message);
  const auto child = static_cast<pid_t>(message);
  if (event == PTRACE_EVENT_CLONE) {
    if (std::find(others_.begin(), others_.end(), child) == others_.end()) {
      others_.push_back(child);
    }
    return;
  }
  wait_for_stop(child);
  ::ptrace(PTRACE_DETACH, child, nullptr, nullptr);
  throw Lost("a call started another process, which is not followed");
}

/// Other threads of the process just run; what they do is not part of the call.
void Traced::serve_other(pid_t thread, int status) {
  if (!WIFSTOPPED(status)) {
    std::erase(others_, thread);
    return;
  }
  int deliver = 0;
  if (status >> 16 != 0) {
    take_child(thread, status >> 16);
  } else {
    siginfo_t info{};
    const bool faults = WSTOPSIG(status) == SIGSEGV && guard_.on() &&
                        ::ptrace(PTRACE_GETSIGINFO, thread, nullptr, &info) == 0 &&
                        guard_.contains(reinterpret_cast<std::uint64_t>(info.si_addr));
    if (faults) {
      guard_.let_through(thread, call_site_, deliver);
    } else {
      deliver = WSTOPSIG(status);
    }
  }
  ::ptrace(PTRACE_CONT, thread, nullptr, deliver);
}

}  // namespace hobbs::foreign
