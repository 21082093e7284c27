// Visits the calls of many logs, and the deaths, in the order of their beginning.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "scenarios/rules/history/logged_call.h"

namespace hobbs {

/// A tournament between the heads of the logs: one comparison a level for each call.
class LogMerge {
 public:
  explicit LogMerge(const std::vector<std::span<const LoggedCall>>& logs)
      : leaves_(std::bit_ceil(std::max<std::size_t>(logs.size(), 1))),
        heads_(leaves_),
        ends_(leaves_),
        keys_(leaves_, INT64_MAX),
        winners_(2 * leaves_) {
    for (std::size_t i = 0; i < logs.size(); ++i) {
      heads_[i] = logs[i].data();
      ends_[i] = logs[i].data() + logs[i].size();
      if (heads_[i] != ends_[i]) keys_[i] = heads_[i]->invoked_ns;
    }
    for (std::size_t i = 0; i < leaves_; ++i) winners_[leaves_ + i] = static_cast<std::uint32_t>(i);
    for (std::size_t node = leaves_ - 1; node >= 1; --node) play(node);
  }

  /// The next call of all, or null at the end.
  const LoggedCall* next() {
    const std::uint32_t log = winners_[1];
    const LoggedCall* const call = heads_[log];
    if (call == ends_[log]) return nullptr;
    const LoggedCall* const head = ++heads_[log];
    keys_[log] = head != ends_[log] ? head->invoked_ns : INT64_MAX;
    for (std::size_t node = (leaves_ + log) / 2; node >= 1; node /= 2) play(node);
    return call;
  }

 private:
  void play(std::size_t node) {
    const std::uint32_t left = winners_[2 * node];
    const std::uint32_t right = winners_[2 * node + 1];
    winners_[node] = keys_[right] < keys_[left] ? right : left;
  }

  std::size_t leaves_;
  std::vector<const LoggedCall*> heads_;
  std::vector<const LoggedCall*> ends_;
  std::vector<std::int64_t> keys_;
  std::vector<std::uint32_t> winners_;
};

/// A death cannot come before the last thing its worker is known to have done.
inline std::int64_t earliest_of(const Death& death, std::span<const LoggedCall> log) {
  if (log.empty()) return death.from_ns;
  const LoggedCall& last = log.back();
  return std::max(death.from_ns, last.pending() ? last.invoked_ns : last.returned_ns + 1);
}

}  // namespace hobbs
