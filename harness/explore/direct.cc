#include "harness/explore/direct.h"

#include <cstring>

namespace hobbs::explore {

// A little-endian machine: the low bytes of a 64-bit value come first.
std::uint64_t DirectMachine::load(const void* cell, unsigned size, std::memory_order, Site) {
  lose_patience();
  std::uint64_t value = 0;
  std::memcpy(&value, cell, size);
  return value;
}

void DirectMachine::write(void* cell, unsigned size, std::uint64_t value) {
  if (std::memcmp(cell, &value, size) != 0) patience_ = kPatience;
  std::memcpy(cell, &value, size);
}

void DirectMachine::store(void* cell, unsigned size, std::uint64_t value, std::memory_order, Site) {
  write(cell, size, value);
}

std::uint64_t DirectMachine::read_modify_write(void* cell, Update update, std::uint64_t operand,
                                               std::memory_order, Site site) {
  const std::uint64_t old = load(cell, update.size, std::memory_order_seq_cst, site);
  write(cell, update.size, apply(update.operation, old, operand, update.size));
  return old;
}

bool DirectMachine::compare_exchange(void* cell, CompareExchange how, std::uint64_t& expected,
                                     std::uint64_t desired, Site site) {
  const std::uint64_t old = load(cell, how.size, std::memory_order_seq_cst, site);
  if (old != expected) {
    expected = old;
    return false;
  }
  write(cell, how.size, desired);
  return true;
}

WaitResult DirectMachine::futex_wait(void* word, std::uint32_t expected, std::int64_t deadline_ns,
                                     bool, Site site) {
  if (load(word, 4, std::memory_order_seq_cst, site) != expected) return WaitResult::kMismatch;
  if (deadline_ns == kNever) give_up();
  lose_patience();
  if (deadline_ns > now_ns_) now_ns_ = deadline_ns;
  return WaitResult::kTimedOut;
}

long DirectMachine::file_call(const FileCall& call) {
  lose_patience();
  const std::uint64_t before = files_.changes();
  const long result = call.perform(call, files_, kFirstOutsider + id_);
  if (files_.changes() != before) patience_ = kPatience;
  if (result == FileSystem::kBlocks) give_up();
  return result;
}

}  // namespace hobbs::explore
