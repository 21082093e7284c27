// Whether a process does the same again and again: it polls or spins, and waits in its own way.
// Pure.
//
// What it does is told as numbers. Between two sleeps is a round. After two rounds that were alike
// the third is no news, nor is what it does in one round for the fourth time (a spin). What is no
// news need not be a point at which others get their turn: they had it at the first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace hobbs::foreign {

class Repetition {
 public:
  /// It is about to do this. True: as it did before, several times.
  bool note(std::uint64_t what) {
    if (round_.size() < kRoundMax) round_.push_back(what);
    const std::size_t at = round_.size() - 1;
    if (at >= last_.size() || last_[at] != what) alike_ = 0;
    const bool again = ++times_[what] > kTimes;
    in_a_row_ = again ? in_a_row_ + 1 : 0;
    return again || alike_ > 0;
  }

  /// It goes to sleep for some time, or wakes from that. True: it polls.
  bool note_sleep() {
    const bool same = !round_.empty() && round_ == last_;
    alike_ = same ? alike_ + 1 : 0;
    polls_ = same && (polls_ || alike_ >= kRounds);
    last_ = std::move(round_);
    round_.clear();
    times_.clear();
    return polls_;
  }

  /// It has done nothing new for so long that it spins.
  bool spins() const { return in_a_row_ >= kSpins; }

  /// Others have acted: what it does now is news. But a poller that then looks once as it did
  /// before has looked in vain.
  void notice_others() {
    round_.clear();
    times_.clear();
    alike_ = 0;
    in_a_row_ = 0;
  }

 private:
  static constexpr std::size_t kRoundMax = 4096;
  static constexpr int kTimes = 3;
  static constexpr int kRounds = 2;
  static constexpr int kSpins = 2'500;  // More than locks spin before they sleep.

  std::vector<std::uint64_t> round_, last_;
  std::map<std::uint64_t, int> times_;
  int alike_ = 0;     // Rounds in a row that were like the one before.
  int in_a_row_ = 0;  // Things done in a row that were no news.
  bool polls_ = false;
};

}  // namespace hobbs::foreign
