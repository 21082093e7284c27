#include "harness/explore/direct.h"

#include <cstring>

namespace hobbs::explore {

/// The run has lost its patience: whether it is in a circle, as it comes to where it was with
/// nothing changed (or ends after all, or sleeps for ever).
bool DirectMachine::comes_back() {
  const std::uint64_t here = fibres_.fingerprint(fibre_);
  for (int i = 0; i < kLongestRound && !finished_ && !sleeps_; ++i) {
    fibres_.switch_to(fibre_);
    if (fibres_.fingerprint(fibre_) == here) return true;
  }
  return finished_ || sleeps_;
}

// A little-endian machine: the low bytes of a 64-bit value come first.
std::uint64_t DirectMachine::load(const void* cell, unsigned size, std::memory_order, Site) {
  asks_ = 0;
  operated_ = true;
  lose_patience();
  ++looks_;
  std::uint64_t value = 0;
  std::memcpy(&value, cell, size);
  return value;
}

void DirectMachine::write(void* cell, unsigned size, std::uint64_t value) {
  operated_ = true;
  if (std::memcmp(cell, &value, size) != 0) {
    if (!only_looks_) patience_ = kPatience;
    looks_no_more();
  }
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
  looks_no_more();
  if (deadline_ns == kNever) {
    sleeps_ = true;
    give_up();
  }
  napped_ = true;
  lose_patience();
  if (deadline_ns > now_ns_) now_ns_ = deadline_ns;
  return WaitResult::kTimedOut;
}

/// Who asks again and again waits for the clock: it goes on, and more each time.
std::int64_t DirectMachine::now_ns() {
  constexpr int kAsksInARow = 64, kLongestStep = 42;  // 2^42 ns are an hour.
  if (++asks_ > kAsksInARow) {
    lose_patience();
    now_ns_ += std::int64_t{1} << std::min(asks_ - kAsksInARow, kLongestStep);
  }
  return now_ns_;
}

long DirectMachine::file_call(const FileCall& call) {
  lose_patience();
  const std::uint64_t before = files_.changes();
  const long result = call.perform(call, files_, kFirstOutsider + id_);
  if (files_.changes() != before) patience_ = kPatience;
  if (result == FileSystem::kBlocks) {
    sleeps_ = true;
    give_up();
  }
  return result;
}

}  // namespace hobbs::explore
