// The hooks of locks/controlled_platform.h: each goes to the calling thread's current machine.
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "harness/explore/machine.h"

namespace hobbs::explore {

long Machine::file_call(const FileCall&) { return -ENOSYS; }
void Machine::refuse_call(const char*) {}
std::int64_t Machine::wall_ns() {
  refuse_call("it asks for the time of day, which is not modelled");
  return now_ns();
}
bool Machine::process_runs(std::uint32_t process) { return process == pid(); }

}  // namespace hobbs::explore

namespace hobbs::controlled {
namespace {

explore::Machine& machine() {
  if (explore::current_machine == nullptr) [[unlikely]] {
    std::fputs("hobbs: a controlled lock was called outside an execution\n", stderr);
    std::abort();
  }
  return *explore::current_machine;
}

}  // namespace

std::uint64_t load(const void* cell, unsigned size, std::memory_order order, Site site) {
  return machine().load(cell, size, order, site);
}
void store(void* cell, unsigned size, std::uint64_t value, std::memory_order order, Site site) {
  machine().store(cell, size, value, order, site);
}
std::uint64_t read_modify_write(void* cell, unsigned size, ReadModifyWrite operation,
                                std::uint64_t operand, std::memory_order order, Site site) {
  return machine().read_modify_write(cell, {operation, static_cast<std::uint8_t>(size)}, operand,
                                     order, site);
}
bool compare_exchange(void* cell, unsigned size, std::uint64_t& expected, std::uint64_t desired,
                      std::memory_order success, std::memory_order failure, bool weak, Site site) {
  explore::CompareExchange how;
  how.success = success;
  how.failure = failure;
  how.size = static_cast<std::uint8_t>(size);
  how.weak = weak;
  return machine().compare_exchange(cell, how, expected, desired, site);
}
void fence(std::memory_order order, Site site) { machine().fence(order, site); }
WaitResult futex_wait(void* word, std::uint32_t expected, std::int64_t deadline_ns, bool is_private,
                      Site site) {
  return machine().futex_wait(word, expected, deadline_ns, is_private, site);
}
int futex_wake(void* word, int n, bool is_private, Site site) {
  return machine().futex_wake(word, n, is_private, site);
}
void pause(Site site) { machine().pause(site); }
void yield(Site site) { machine().yield(site); }
void file_point(Site site) { machine().file_point(site); }
std::uint32_t self() { return machine().self(); }
std::uint32_t pid() { return machine().pid(); }
bool alive(std::uint32_t id, Site site) { return machine().alive(id, site); }
std::int64_t now_ns() { return machine().now_ns(); }

}  // namespace hobbs::controlled
