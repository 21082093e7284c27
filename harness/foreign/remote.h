// What a tracer does to one stopped thread: registers, memory, a system call in its name.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace hobbs::foreign {

/// The system does not let us trace: one sentence.
class TraceRefused : public std::runtime_error {
  using runtime_error::runtime_error;
};

/// Nothing can be said of this run: one sentence.
class Lost : public std::runtime_error {
  using runtime_error::runtime_error;
};

/// Of a traced thread's wait status: it is at the entry or exit of a system call.
bool is_system_call_stop(int status);

/// Throws what follows from errno.
[[noreturn]] void refuse_trace(const char* what);

/// All throw TraceRefused where the system refuses, and Lost if the thread has ended.
user_regs_struct registers_of(pid_t thread);
void set_registers(pid_t thread, const user_regs_struct& registers);

/// Eight bytes, whatever the rights to them; 0 if nothing is there.
std::uint64_t word_at(pid_t thread, std::uint64_t address);
/// Up to the first zero, at most some hundred characters.
std::string text_at(pid_t thread, std::uint64_t address);

/// The next stop of the thread, as waitpid() tells it.
int wait_for_stop(pid_t thread);
/// The same if it has stopped already.
bool poll_stop(pid_t thread, int& status);

/// Whether the stopped thread has made a fault that has not been told yet.
bool has_fault_to_tell(pid_t thread);

/// Lets it run one instruction. Signals that come instead are kept in `deliver`, the last of them.
/// 0, or the signal that the instruction raised.
int step(pid_t thread, int& deliver);

/// From the entry of a system call to its exit, or from before one to its entry.
void to_system_call_stop(pid_t thread, int& deliver);

/// Where the process has a system call instruction that nobody else uses meanwhile.
std::uint64_t call_site_in(pid_t process);

/// Makes a system call at `call_site`, where there is such an instruction, and leaves no other
/// trace: its result. The thread is stopped, not at the entry of a system call.
std::int64_t call_in(pid_t thread, std::uint64_t call_site, long number, std::uint64_t a,
                     std::uint64_t b, std::uint64_t c, int& deliver);

}  // namespace hobbs::foreign
