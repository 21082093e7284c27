// A program whose lock can be made slower by a per cent at will, to see whether compare sees it:
// HOBBS_PLANTED_PERCENT=20 makes the work of each acquisition a fifth longer.
#include <cstdint>
#include <cstdlib>

#include "harness/hobbs.h"
#include "locks/reference/ticket_lock.h"

namespace {

constexpr std::uint64_t kWork = 200;  // Steps; most of what an uncontended pair takes.

std::uint64_t steps() {
  static const std::uint64_t count = [] {
    const char* percent = std::getenv("HOBBS_PLANTED_PERCENT");
    return kWork + kWork * (percent == nullptr ? 0 : std::strtoull(percent, nullptr, 10)) / 100;
  }();
  return count;
}

void work() {
  for (std::uint64_t i = steps(); i != 0; --i) asm volatile("" : "+r"(i));
}

template <class P>
struct Planted {
  void lock() {
    inner.lock();
    work();
  }
  void unlock() { inner.unlock(); }
  hobbs::TicketLock<P> inner;
};

}  // namespace

int main(int argc, char** argv) {
  return hobbs::main_with(argc, argv, {hobbs::spec_of<Planted>("planted")});
}
