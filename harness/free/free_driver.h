// The free driver: real processes and threads on all cores, provoked by shapes and nemeses.
//
// Nothing is controlled: a lock is accused only by what a worker saw in place (two inside at once,
// an outcome it may not have), by what is left when all are outside, or by the kernel's word that
// nobody can go on. Such a finding is shrunk, repeated, and told with how often it recurred.
#pragma once

#include "harness/driver.h"

namespace hobbs {

class FreeDriver final : public Driver {
 public:
  std::string_view name() const override { return "free"; }
  std::string unfit(const LockSpec& lock) const override;
  std::vector<ScenarioInfo> scenarios(const LockSpec& lock) const override;
  /// Of a scenario, `request.scenarios` may choose one nemesis alone: "burst/exclusion+churn".
  std::vector<Result> run(const LockSpec& lock, const Request& request) override;
  ReplayOutcome replay(const LockSpec& lock, std::string_view replay_json,
                       const Request& request) override;
};

}  // namespace hobbs
