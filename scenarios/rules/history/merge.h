// Visits the calls of many logs, and the deaths, in the order of their beginning.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "scenarios/rules/history/logged_call.h"

namespace hobbs {

/// A tournament between the heads of the logs, in which each match remembers who lost: one
/// comparison, without a branch, a level for each call. A player is one number: the time since the
/// first call of all, above the number of its log.
class LogMerge {
 public:
  explicit LogMerge(const std::vector<std::span<const LoggedCall>>& logs)
      : leaves_(std::bit_ceil(std::max<std::size_t>(logs.size(), 1))),
        log_bits_(std::bit_width(leaves_ - 1)),
        heads_(leaves_),
        losers_(leaves_) {
    for (std::size_t log = 0; log < logs.size(); ++log) {
      heads_[log] = {logs[log].data(), logs[log].data() + logs[log].size()};
      if (!logs[log].empty()) origin_ns_ = std::min(origin_ns_, logs[log].front().invoked_ns);
    }
    std::vector<std::uint64_t> winners(2 * leaves_);
    for (std::size_t log = 0; log < leaves_; ++log) winners[leaves_ + log] = player(log);
    for (std::size_t node = leaves_ - 1; node >= 1; --node) {
      winners[node] = std::min(winners[2 * node], winners[2 * node + 1]);
      losers_[node] = std::max(winners[2 * node], winners[2 * node + 1]);
    }
    winner_ = winners[1];
  }

  /// The next call of all, or null at the end.
  const LoggedCall* next() {
    const std::size_t log = winner_ & (leaves_ - 1);
    Head& head = heads_[log];
    const LoggedCall* const call = head.at;
    if (call == head.end) return nullptr;
    ++head.at;
    std::uint64_t risen = player(log);
    std::uint64_t* const losers = losers_.data();
    std::size_t node = leaves_ + log;
    for (int level = log_bits_; level > 0; --level) {
      node >>= 1;
      const std::uint64_t loser = losers[node];
      const std::uint64_t low = loser < risen ? loser : risen;
      losers[node] = loser ^ risen ^ low;
      risen = low;
    }
    winner_ = risen;
    return call;
  }

 private:
  struct Head {
    const LoggedCall* at = nullptr;
    const LoggedCall* end = nullptr;
  };

  std::uint64_t player(std::size_t log) const {
    const Head& head = heads_[log];
    if (head.at == head.end) return ~std::uint64_t{0} << log_bits_ | log;
    const auto since = static_cast<std::uint64_t>(head.at->invoked_ns - origin_ns_);
    return since << log_bits_ | log;
  }

  std::size_t leaves_;
  int log_bits_;
  std::int64_t origin_ns_ = INT64_MAX;
  std::vector<Head> heads_;
  std::vector<std::uint64_t> losers_;
  std::uint64_t winner_ = 0;
};

/// A death cannot come before the last thing its worker is known to have done.
inline std::int64_t earliest_of(const Death& death, std::span<const LoggedCall> log) {
  if (log.empty()) return death.from_ns;
  const LoggedCall& last = log.back();
  return std::max(death.from_ns, last.pending() ? last.invoked_ns : last.returned_ns + 1);
}

}  // namespace hobbs
