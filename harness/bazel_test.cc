#include "harness/bazel_test.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "harness/exit_code.h"

namespace hobbs {
namespace {

// Of the time limit: starting, replaying, shrinking and reporting need the rest.
constexpr double kPartOfTimeout = 0.7;

std::optional<std::uint64_t> number_from(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  const std::string_view text(value);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw UsageError(std::string(name) + " is '" + value + "', which is no number");
  }
  return number;
}

void take_shard(CampaignPlan& plan) {
  const auto shards = number_from("TEST_TOTAL_SHARDS");
  const auto shard = number_from("TEST_SHARD_INDEX");
  if (!shards || !shard || *shards == 0 || *shard >= *shards) return;
  plan.shards = static_cast<std::uint32_t>(*shards);
  plan.shard = static_cast<std::uint32_t>(*shard);
  // The file's existence is the message.
  const char* status = std::getenv("TEST_SHARD_STATUS_FILE");
  if (status == nullptr) return;
  const int fd = open(status, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd >= 0) close(fd);
}

}  // namespace

void obey_bazel(CampaignPlan& plan, const Options& options) {
  if (std::getenv("TEST_TARGET") == nullptr) return;
  take_shard(plan);
  // Set only with --runs_per_test, to the number of the run from 1 on.
  if (const auto run = number_from("TEST_RANDOM_SEED"); run && *run > 0) {
    plan.request.seed += (*run - 1) * plan.seeds;
  }
  const auto timeout_s = number_from("TEST_TIMEOUT");
  if (!timeout_s) return;
  const auto most = std::chrono::milliseconds(
      static_cast<std::int64_t>(static_cast<double>(*timeout_s) * 1000 * kPartOfTimeout));
  plan.budget = options.budget ? std::min(*options.budget, most) : std::min(plan.budget, most);
}

}  // namespace hobbs
