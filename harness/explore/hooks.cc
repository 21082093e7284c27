// What ControlledPlatform needs of the explorer, and what a machine need not define.
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "harness/explore/machine.h"

namespace hobbs::controlled {

constinit thread_local Machine* machine = nullptr;

void refuse_uncontrolled() {
  std::fputs("hobbs: a controlled lock was called outside an execution\n", stderr);
  std::abort();
}

}  // namespace hobbs::controlled

namespace hobbs::explore {

long Machine::file_call(const FileCall&) { return -ENOSYS; }
void Machine::refuse_call(const char*) {}
std::int64_t Machine::wall_ns() {
  refuse_call("it asks for the time of day, which is not modelled");
  return now_ns();
}
bool Machine::process_runs(std::uint32_t process) { return process == pid(); }

}  // namespace hobbs::explore
