#include "harness/foreign/guard.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include <algorithm>

#include "harness/foreign/remote.h"

namespace hobbs::foreign {
namespace {

constexpr std::uint64_t kSystemCallBytes = 2;  // Of the instruction.

std::uint64_t rights(bool guarded) {
  return static_cast<std::uint64_t>(guarded ? PROT_NONE : PROT_READ | PROT_WRITE);
}

}  // namespace

bool Guard::contains(std::uint64_t address) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const Range& range) { return range.contains(address); });
}

bool Guard::is_touched_by(const SystemCall& call) const {
  return std::any_of(call.arguments.begin(), call.arguments.end(),
                     [&](std::uint64_t argument) { return contains(argument); });
}

void Guard::set(bool on, pid_t thread, std::uint64_t call_site, int& deliver) {
  if (on_ == on) return;
  for (const Range& range : ranges_) {
    call_in(thread, call_site, SYS_mprotect, range.begin, range.end - range.begin, rights(on),
            deliver);
  }
  on_ = on;
}

void Guard::lift_at_entry(pid_t thread, std::uint64_t call_site, int& deliver) {
  if (!on_ || ranges_.empty()) {
    on_ = false;
    return;
  }
  // The system call that it is about to make becomes another, and is made after it.
  user_regs_struct before = registers_of(thread);
  user_regs_struct instead = before;
  instead.orig_rax = SYS_mprotect;
  instead.rdi = ranges_[0].begin;
  instead.rsi = ranges_[0].end - ranges_[0].begin;
  instead.rdx = rights(false);
  set_registers(thread, instead);
  to_system_call_stop(thread, deliver);
  set(false, thread, call_site, deliver);
  before.rip -= kSystemCallBytes;
  before.rax = before.orig_rax;
  before.orig_rax = ~0ull;  // Nothing that was interrupted is begun again here.
  set_registers(thread, before);
  to_system_call_stop(thread, deliver);
}

void Guard::let_through(pid_t thread, std::uint64_t call_site, int& deliver) {
  set(false, thread, call_site, deliver);
  if (const int raised = step(thread, deliver); raised != 0) deliver = raised;
  set(true, thread, call_site, deliver);
}

}  // namespace hobbs::foreign
