// The hooks of ControlledPlatform for programs without the explorer (unit tests of this folder):
// a lock may be instantiated, but not run, under control.
#include <cstdio>
#include <cstdlib>

#include "locks/controlled_platform.h"

namespace hobbs::controlled {
namespace {
[[noreturn]] void refuse() {
  std::fputs("hobbs: a controlled lock was called in a program without the explorer\n", stderr);
  std::abort();
}
}  // namespace

std::uint64_t load(const void*, unsigned, std::memory_order, Site) { refuse(); }
void store(void*, unsigned, std::uint64_t, std::memory_order, Site) { refuse(); }
std::uint64_t read_modify_write(void*, unsigned, ReadModifyWrite, std::uint64_t,
                                std::memory_order, Site) {
  refuse();
}
bool compare_exchange(void*, unsigned, std::uint64_t&, std::uint64_t, std::memory_order,
                      std::memory_order, bool, Site) {
  refuse();
}
void fence(std::memory_order, Site) { refuse(); }
WaitResult futex_wait(void*, std::uint32_t, std::int64_t, bool, Site) { refuse(); }
int futex_wake(void*, int, bool, Site) { refuse(); }
void pause(Site) { refuse(); }
void yield(Site) { refuse(); }
void file_point(Site) { refuse(); }
std::uint32_t self() { refuse(); }
std::uint32_t pid() { refuse(); }
bool alive(std::uint32_t, Site) { refuse(); }
std::int64_t now_ns() { refuse(); }

}  // namespace hobbs::controlled
