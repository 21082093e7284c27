#include "reports/fold_repeats.h"

#include <cstddef>
#include <utility>

namespace hobbs {
namespace {

constexpr std::size_t kLongestBlock = 24;
constexpr std::size_t kLeastAgain = 2;
constexpr std::size_t kLeastSaved = 6;  // Fewer lines are sooner read than explained.

bool alike(const Moment& a, const Moment& b) {
  return !a.evidence && !b.evidence && a.worker == b.worker && a.text == b.text &&
         a.where == b.where;
}

/// How often the `length` moments from `at` on come again right behind themselves.
std::size_t times_again(const std::vector<Moment>& story, std::size_t at, std::size_t length) {
  std::size_t again = 0;
  for (std::size_t i = at + length; i + length <= story.size(); i += length, ++again) {
    for (std::size_t k = 0; k < length; ++k) {
      if (!alike(story[at + k], story[i + k])) return again;
    }
  }
  return again;
}

Moment summary(const std::vector<Moment>& story, std::size_t at, std::size_t length,
               std::size_t again) {
  Moment moment;
  moment.worker = story[at].worker;
  moment.text = length == 1 ? "(the same " : "(the last " + std::to_string(length) + " lines ";
  moment.text += std::to_string(again) + " more times)";
  moment.from_ns = story[at + length].from_ns;
  moment.to_ns = story[at + length * (again + 1) - 1].to_ns;
  return moment;
}

}  // namespace

std::vector<Moment> fold_repeats(std::vector<Moment> story) {
  std::vector<Moment> folded;
  for (std::size_t at = 0; at < story.size();) {
    std::size_t best = 0, best_again = 0;
    for (std::size_t length = 1; length <= kLongestBlock; ++length) {
      const std::size_t again = times_again(story, at, length);
      if (again < kLeastAgain || length * again <= best * best_again) continue;
      best = length;
      best_again = again;
    }
    if (best * best_again < kLeastSaved) {
      folded.push_back(std::move(story[at++]));
      continue;
    }
    Moment told = summary(story, at, best, best_again);
    for (std::size_t k = 0; k < best; ++k) folded.push_back(std::move(story[at + k]));
    folded.push_back(std::move(told));
    at += best * (best_again + 1);
  }
  return folded;
}

}  // namespace hobbs
