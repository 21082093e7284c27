#include "harness/step/transition.h"

#include "harness/step/state.h"

namespace hobbs::step {
namespace {

constexpr std::string_view kSuffixes = "rdtkgsw";  // In the order of Kind; a run has none.

}  // namespace

std::string to_text(const Transition& transition) {
  std::string text = std::to_string(transition.worker + 1);
  if (transition.kind != Transition::Kind::kRun) {
    text += kSuffixes[static_cast<std::size_t>(transition.kind)];
  }
  return text;
}

std::string to_text(const std::vector<Transition>& path) {
  std::string text;
  for (const Transition& transition : path) text += (text.empty() ? "" : " ") + to_text(transition);
  return text;
}

bool parse_path(std::string_view text, std::vector<Transition>& path) {
  path.clear();
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    Transition transition;
    if (text[at] < '1' || text[at] > '0' + static_cast<int>(kMaxStepWorkers)) return false;
    transition.worker = static_cast<std::uint8_t>(text[at++] - '1');
    if (at < text.size() && text[at] != ' ') {
      const std::size_t kind = kSuffixes.find(text[at++]);
      if (kind == std::string_view::npos || kind == 0) return false;
      transition.kind = static_cast<Transition::Kind>(kind);
    }
    if (at < text.size() && text[at] != ' ') return false;
    path.push_back(transition);
  }
  return true;
}

}  // namespace hobbs::step
