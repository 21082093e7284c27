// The step driver: complete searches of a lock's own machine code on modelled processors.
#pragma once

#include "harness/driver.h"

namespace hobbs {

/// Applies to every lock in memory that works between processes, with or without source. Safe to
/// call from one thread at a time.
class StepDriver : public Driver {
 public:
  std::string_view name() const override { return "step"; }
  std::string unfit(const LockSpec& lock) const override;
  std::vector<ScenarioInfo> scenarios(const LockSpec& lock) const override;
  std::vector<Result> run(const LockSpec& lock, const Request& request) override;
  ReplayOutcome replay(const LockSpec& lock, std::string_view replay_json,
                       const Request& request) override;
};

}  // namespace hobbs
