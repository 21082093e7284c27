// A schedule of the modelled world, run again by real processes on the real kernel.
//
// Each worker is a forked, traced process with its stack where the model has it. A transition is
// the same number of single steps as the model executed instructions; after each, registers and
// the lock's bytes are compared with the model's. So a counterexample is confirmed on the real
// processor and kernel before it is told, and every confirmation checks the model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/step/world.h"

namespace hobbs::step {

struct NativeReport {
  enum class End : std::uint8_t {
    kReproduced,  // The real processes did the same, to the violation.
    kDiffers,     // The model and the machine disagree: `reason` says where. A defect of hobbs.
    kRefused,     // Could not be tried: no permission to trace, store buffers, ... : `reason`.
  } end = End::kReproduced;
  std::string reason;
  std::string stall;         // Of a reproduced stall: what was seen of those who did not finish.
  std::uint64_t points = 0;  // Transitions after which all was compared.
  std::uint64_t registers_compared = 0;
  std::uint64_t instructions = 0;
};

/// Follows `path` from the initial state. If it ends in a stall (`ends_stuck`), the workers are
/// then let go, and one of them must fail to finish: if all who do sleep, that is a deadlock on this
/// kernel; if one runs on, only for as long as was looked. Leaves no process.
NativeReport run_natively(World& world, const std::vector<Transition>& path, bool ends_stuck);

}  // namespace hobbs::step
