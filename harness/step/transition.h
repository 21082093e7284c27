// One decision of the scheduler: whose turn it is, and for what. A schedule is a list of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hobbs::step {

struct Transition {
  enum class Kind : std::uint8_t {
    kRun,       // "1": worker 1 makes its next access and runs to the one after.
    kDrain,     // "1d": its oldest buffered store becomes visible.
    kTimeOut,   // "1t": the deadline of its sleep passes.
    kKill,      // "1k": it is killed.
    kGiveUp,    // "1g": it spins on, alone, until its spin ends of itself.
    kSignal,    // "1s": a signal ends its sleep.
    kSpurious,  // "1w": its sleep ends for no reason.
  } kind = Kind::kRun;
  std::uint8_t worker = 0;
  bool operator==(const Transition&) const = default;
};

std::string to_text(const Transition& transition);

/// A schedule as text, blank-separated, and back; false if a token is none.
std::string to_text(const std::vector<Transition>& path);
bool parse_path(std::string_view text, std::vector<Transition>& path);

}  // namespace hobbs::step
