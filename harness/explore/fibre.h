// Fibres: several stacks in one thread, switched by hand.
//
// A switch is a few instructions in the middle of the function that asks for it: nothing is called
// and nothing returns, so that the processor's predictions of returns stay right as long as the
// fibres stand in the same chain of calls. Where they do not, each level of that chain costs a
// wrong prediction (some 35 cycles): so ask for a switch as near to the code under test as can be.
//
// A set of fibres is made once; every execution starts them anew on the same stacks, so that an
// execution allocates nothing. Below each stack lies a guard page. A fibre that is abandoned in the
// middle is simply started again: nothing on its stack is unwound, so code that runs on a fibre
// must own no resources. One set belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "locks/fibre_jump.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HOBBS_FIBRES_TELL_SANITIZER 1
#endif
/// Where a fibre begins: see fibre.cc.
extern "C" void hobbs_fibre_entry();

namespace hobbs::explore {

class Fibres {
 public:
  using Entry = void (*)(void* argument);
  static constexpr int kMain = -1;  // The thread's own stack.
  /// Deeper than code under test stands below where it was stopped before.
  static constexpr std::size_t kGapBytes = 1024;

  /// `count` fibres with `stack_bytes` each (rounded up to pages). Throws std::system_error.
  explicit Fibres(int count, std::size_t stack_bytes = 64 * 1024);
  ~Fibres();
  Fibres(const Fibres&) = delete;
  Fibres& operator=(const Fibres&) = delete;

  /// The next switch to fibre `index` calls `entry(argument)`, which must never return: it ends by
  /// switching away for the last time. Whatever the fibre did before is forgotten.
  void start(int index, Entry entry, void* argument) {
    Fibre& fibre = at(index);
#ifdef HOBBS_FIBRES_TELL_SANITIZER
    unpoison(fibre);
#endif
    // What hobbs_fibre_entry() pops, and above it room that leaves its call on a 16-byte boundary,
    // as the ABI wants.
    void** const frame = reinterpret_cast<void**>(fibre.top) - 4;
    frame[0] = argument;
    frame[1] = reinterpret_cast<void*>(entry);
    frame[2] = frame[3] = nullptr;
    fibre.context = {frame, reinterpret_cast<void*>(&hobbs_fibre_entry)};
  }

  /// Leaves the current fibre (or the main stack) and continues `index` (or kMain).
  [[gnu::always_inline]] void switch_to(int index) {
    // Nobody does. But a function that calls nothing may keep data below its stack pointer, so
    // every function with a jump in it gets a call.
    if (index == current_) [[unlikely]]
      refuse_to_stay();
    turn_to(index).take();
  }
  /// The same for whoever jumps in the caller's place, perhaps to where it is already.
  [[gnu::always_inline]] Turn turn_to(int index) {
#ifdef HOBBS_FIBRES_TELL_SANITIZER
    if (index != current_) switch_with_sanitizer(index);
    return {};
#else
    FibreContext* const from = here_;
    here_ = &at(index).context;
    current_ = index;
    return {from, here_};
#endif
  }

  /// The same from the main stack, for whoever compares states: what the fibre does next, and
  /// leaves in the gaps of its frames, depends on its live bytes and nothing else.
  [[gnu::always_inline]] void continue_alike(int index) {
#ifdef HOBBS_FIBRES_TELL_SANITIZER
    switch_to(index);
#else
    const Fibre& fibre = at(index);
    auto* const end = static_cast<std::byte*>(fibre.context.stack_pointer);
    const auto room = static_cast<std::size_t>(end - fibre.bottom);
    std::size_t bytes = room < kGapBytes ? room : kGapBytes;
    asm("" : "+r"(bytes));  // Unknown to the compiler: the library's memset() is the faster one.
    std::memset(end - bytes, 0, bytes);
    const Turn turn = turn_to(index);
    jump_bare(*turn.from, *turn.to);
#endif
  }

  int current() const { return current_; }
  int size() const { return count_; }

  /// The bytes of a suspended fibre's live frames.
  struct Live {
    std::byte* begin;
    std::byte* end;
  };
  Live live(int index) const;
  /// Where a suspended fibre goes on: with those bytes, all that it is.
  const FibreContext& context(int index) const { return at(index).context; }
  /// Makes a fibre again what it was when `context` and the bytes `live` of live() were taken.
  /// Not under a sanitizer, which knows more of the frames than is in their bytes.
  void restore(int index, const FibreContext& context, const std::byte* live);
  /// A hash of those bytes and of where it goes on: equal states have equal ones (the converse
  /// holds but for chance).
  std::uint64_t fingerprint(int index) const;
  /// Zeroes the upper `bytes` of a stack, so that what earlier fibres left there is in no
  /// fingerprint. The fibre must be started anew afterwards.
  void wipe(int index, std::size_t bytes);

  /// Whether that is an address on the fibre's stack.
  bool on_stack(int index, std::uint64_t address) const {
    const auto bottom = reinterpret_cast<std::uintptr_t>(at(index).bottom);
    return address - bottom < reinterpret_cast<std::uintptr_t>(at(index).top) - bottom;
  }
  /// Whether `address` lies in the guard page below some stack (a stack overflow).
  bool in_guard(const void* address) const;

 private:
  struct alignas(64) Fibre {  // A power of two apart.
    FibreContext context;
    std::byte* bottom = nullptr;  // Above the guard page.
    std::byte* top = nullptr;
    void* sanitizer = nullptr;  // The sanitizer's own record of the fibre, if any.
  };
  Fibre& at(int index) { return first_[index]; }
  const Fibre& at(int index) const { return first_[index]; }

  [[noreturn]] static void refuse_to_stay();
  void switch_with_sanitizer(int index);
  void unpoison(Fibre& fibre);

  std::unique_ptr<Fibre[]> fibres_;  // kMain's and then
  Fibre* const first_;               // that of fibre 0.
  int count_ = 0;
  int current_ = kMain;
  FibreContext* here_;  // Of the current one.
  std::byte* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  std::size_t stride_ = 0;
};

/// A set of fibres that is used again: it goes back to a store of its thread's when the lease ends,
/// for the system takes longer to map a stack than many a search runs on it. What stands on its
/// stacks is of no promise; its users start them anew, as ever.
class LeasedFibres {
 public:
  explicit LeasedFibres(int count);
  ~LeasedFibres();
  LeasedFibres(const LeasedFibres&) = delete;
  LeasedFibres& operator=(const LeasedFibres&) = delete;

  Fibres& operator*() const { return *fibres_; }
  Fibres* operator->() const { return fibres_.get(); }

 private:
  std::unique_ptr<Fibres> fibres_;
};

}  // namespace hobbs::explore
