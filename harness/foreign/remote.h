// What a tracer does to one stopped thread: registers, memory, a system call in its name.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <string>

namespace hobbs::foreign {

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

/// Lets it run one instruction. Signals that come instead are kept in `deliver`, the last of them.
/// False: the instruction raised this signal.
bool step(pid_t thread, int& deliver);

/// Makes a system call at `call_site`, where there is such an instruction, and leaves no other
/// trace: its result. The thread is stopped, not at the entry of a system call.
std::int64_t call_in(pid_t thread, std::uint64_t call_site, long number, std::uint64_t a,
                     std::uint64_t b, std::uint64_t c, int& deliver);

}  // namespace hobbs::foreign
