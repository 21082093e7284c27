// The explore driver: a lock over the Platform seam, every operation a decision of the scheduler.
#pragma once

#include "harness/driver.h"

namespace hobbs {

/// Applies to locks that are templates over Platform. Spends its budget in rounds over all programs
/// that fit the lock, under each memory model, with strategies in turn; then searches the smallest
/// ones systematically. A finding is shrunk and replayed twice before it is told.
class ExploreDriver : public Driver {
 public:
  std::string_view name() const override { return "explore"; }
  std::string unfit(const LockSpec& lock) const override;
  std::vector<ScenarioInfo> scenarios(const LockSpec& lock) const override;
  std::vector<Result> run(const LockSpec& lock, const Request& request) override;
  ReplayOutcome replay(const LockSpec& lock, std::string_view replay_json,
                       const Request& request) override;
};

}  // namespace hobbs
