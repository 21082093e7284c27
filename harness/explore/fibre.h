// Fibres: several stacks in one thread, switched by hand.
//
// A set of fibres is made once; every execution starts them anew on the same stacks, so that an
// execution allocates nothing. Below each stack lies a guard page. A fibre that is abandoned in the
// middle is simply started again: nothing on its stack is unwound, so code that runs on a fibre
// must own no resources. One set belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hobbs::explore {

class Fibres {
 public:
  using Entry = void (*)(void* argument);
  static constexpr int kMain = -1;  // The thread's own stack.

  /// `count` fibres with `stack_bytes` each (rounded up to pages). Throws std::system_error.
  explicit Fibres(int count, std::size_t stack_bytes = 64 * 1024);
  ~Fibres();
  Fibres(const Fibres&) = delete;
  Fibres& operator=(const Fibres&) = delete;

  /// The next switch to fibre `index` calls `entry(argument)`, which must never return: it ends by
  /// switching away for the last time. Whatever the fibre did before is forgotten.
  void start(int index, Entry entry, void* argument);

  /// Leaves the current fibre (or the main stack) and continues `index` (or kMain).
  void switch_to(int index);

  int current() const { return current_; }
  int size() const { return static_cast<int>(fibres_.size()); }

  /// The bytes that a suspended fibre's state consists of: saved registers and live frames.
  struct Live {
    std::byte* begin;
    std::byte* end;
  };
  Live live(int index) const;
  /// A hash of those bytes: equal states have equal ones (the converse holds but for chance).
  std::uint64_t fingerprint(int index) const;
  /// Zeroes the upper `bytes` of a stack, so that what earlier fibres left there is in no
  /// fingerprint. The fibre must be started anew afterwards.
  void wipe(int index, std::size_t bytes);

  /// Whether `address` lies in the guard page below some stack (a stack overflow).
  bool in_guard(const void* address) const;

 private:
  struct Fibre {
    void* stack_pointer = nullptr;  // While suspended.
    std::byte* bottom = nullptr;    // Above the guard page.
    std::byte* top = nullptr;
    void* sanitizer = nullptr;      // The sanitizer's own record of the fibre, if any.
  };
  Fibre& at(int index) { return index == kMain ? main_ : fibres_[static_cast<std::size_t>(index)]; }

  std::vector<Fibre> fibres_;
  Fibre main_;
  int current_ = kMain;
  std::byte* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace hobbs::explore
