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

const char* const Traced::kStartsProcess = "a call started another process, which is not followed";

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

/// One that is not traced yet may begin another meanwhile: until there is none that is not known.
void Traced::seize_others() {
  for (bool any = true; any;) {
    any = false;
    for (const pid_t thread : threads_of(process_)) {
      if (thread == process_ || std::ranges::find(others_, thread) != others_.end()) continue;
      seize(thread, false);
      any = true;
    }
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
    // One of them may have begun another just now, which then is one of them.
    for (std::size_t i = 0; i < others_.size(); ++i) let_go(others_[i]);
  } catch (const std::runtime_error&) {
    kill();  // It would fault where nobody helps it.
  }
}

/// Stops a thread where its registers are its own: not within a system call that has just made a
/// child, whose result they would become, nor between a fault and the word of it, which would come
/// when nobody understands it any more. Its wait status.
int Traced::interrupt(pid_t thread) {
  if (::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0) refuse_trace("cannot stop");
  for (;;) {
    const int status = wait_for_stop(thread);
    const int event = WIFSTOPPED(status) ? status >> 16 : 0;
    const bool asked = event == PTRACE_EVENT_STOP;
    if (event == 0 || (asked && !has_fault_to_tell(thread))) return status;
    if (!asked) {
      take_child(thread, event);  // A process that was started between calls is nobody's affair.
      ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr);  // Any stop answers the one before.
    }
    if (::ptrace(PTRACE_CONT, thread, nullptr, nullptr) != 0) refuse_trace("cannot go on");
  }
}

/// Of one of the other threads; it may have ended meanwhile.
void Traced::let_go(pid_t thread) {
  int signal = 0;
  try {
    const int status = interrupt(thread);
    if (!WIFSTOPPED(status)) return;
    const bool plain = status >> 16 == 0;
    if (plain && WSTOPSIG(status) != SIGSEGV) signal = WSTOPSIG(status);
  } catch (const std::runtime_error&) {
    // It is let go all the same, if it is there.
  }
  ::ptrace(PTRACE_DETACH, thread, nullptr, signal);
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
/// that it shares: false.
bool Traced::take_child(pid_t thread, int event) {
  if (event != PTRACE_EVENT_CLONE && event != PTRACE_EVENT_FORK && event != PTRACE_EVENT_VFORK) {
    return true;
  }
  unsigned long message = 0;
  ::ptrace(PTRACE_GETEVENTMSG, thread, nullptr, &message);
  const auto child = static_cast<pid_t>(message);
  if (event == PTRACE_EVENT_CLONE) {
    if (std::ranges::find(others_, child) == others_.end()) others_.push_back(child);
    return true;
  }
  wait_for_stop(child);
  ::ptrace(PTRACE_DETACH, child, nullptr, nullptr);
  return false;
}

/// Other threads of the process just run; what they do is not part of the call.
void Traced::serve_other(pid_t thread, int status) {
  if (!WIFSTOPPED(status)) {
    std::erase(others_, thread);
    return;
  }
  int deliver = 0;
  bool ours = true;
  if (status >> 16 != 0) {
    ours = take_child(thread, status >> 16);
  } else {
    siginfo_t info{};
    const bool faults =
        WSTOPSIG(status) == SIGSEGV && ::ptrace(PTRACE_GETSIGINFO, thread, nullptr, &info) == 0 &&
        info.si_code > 0 && guard_.contains(reinterpret_cast<std::uint64_t>(info.si_addr));
    if (!faults) {
      deliver = WSTOPSIG(status);
    } else if (guard_.on()) {
      guard_.let_through(thread, call_site_, deliver);
    } else if (const int raised = step(thread, deliver); raised != 0) {
      deliver = raised;  // Not for want of rights, which it has had again meanwhile.
    }
  }
  ::ptrace(PTRACE_CONT, thread, nullptr, deliver);
  if (!ours) throw Lost(kStartsProcess);
}

}  // namespace hobbs::foreign
