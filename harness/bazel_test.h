// How a call behaves as a Bazel test: shards, runs, time limit (ECOSYSTEM B2).
#pragma once

#include "harness/campaign.h"
#include "harness/options.h"

namespace hobbs {

/// Adapts the plan to the environment of `bazel test`, if there is one: takes this shard's part of
/// the seeds and tells Bazel that sharding is understood; moves the seeds on for each of several
/// runs (--runs_per_test); keeps the budget below TEST_TIMEOUT. Throws UsageError if a variable
/// is no number.
void obey_bazel(CampaignPlan& plan, const Options& options);

}  // namespace hobbs
