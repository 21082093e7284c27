#include "harness/explore/schedule.h"

#include <charconv>

namespace hobbs::explore {
namespace {

std::string_view name_of(const Move& move) {
  switch (move.kind) {
    case Move::Kind::kDrain: return "drain";
    case Move::Kind::kTime: return "time";
    case Move::Kind::kWake: return "wake";
    case Move::Kind::kInterrupt: return "signal";
    case Move::Kind::kStep: break;
  }
  switch (move.choice) {
    case Choice::kStale: return "stale";
    case Choice::kPlace: return "place";
    case Choice::kWeak: return "weak";
    case Choice::kPersist: return "persist";
    case Choice::kNone: break;
  }
  return "";
}

bool is_plain(const Move& move) { return move.kind == Move::Kind::kStep && move.amount == 0; }

bool parse_number(std::string_view text, int low, int high, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= low && value <= high;
}

/// Parses what stands behind "W:"; returns whether it could.
bool parse_event(std::string_view text, Move& move) {
  int amount = 0;
  if (const auto open = text.find('('); open != std::string_view::npos) {
    if (text.back() != ')' ||
        !parse_number(text.substr(open + 1, text.size() - open - 2), -255, -1, amount)) {
      return false;
    }
    text = text.substr(0, open);
  }
  move.amount = static_cast<std::uint8_t>(-amount);
  const bool needs_amount = text == "stale" || text == "place";
  if (needs_amount != (amount != 0)) return false;
  if (text == "stale") {
    move.choice = Choice::kStale;
  } else if (text == "place") {
    move.choice = Choice::kPlace;
  } else if (text == "weak" || text == "persist") {
    move.choice = text == "weak" ? Choice::kWeak : Choice::kPersist;
    move.amount = 1;
  } else if (text == "drain") {
    move.kind = Move::Kind::kDrain;
  } else if (text == "wake") {
    move.kind = Move::Kind::kWake;
  } else if (text == "signal") {
    move.kind = Move::Kind::kInterrupt;
  } else {
    return false;
  }
  return true;
}

bool parse_token(std::string_view token, Schedule& schedule) {
  Move move;
  if (token == "time") {
    move.kind = Move::Kind::kTime;
    schedule.push_back(move);
    return true;
  }
  const auto split = token.find_first_of(":x");
  int worker = 0;
  if (!parse_number(token.substr(0, split), 1, 64, worker)) return false;
  move.worker = static_cast<std::uint8_t>(worker - 1);
  int count = 1;
  if (split != std::string_view::npos) {
    const std::string_view rest = token.substr(split + 1);
    if (token[split] == 'x' ? !parse_number(rest, 1, 1'000'000, count) : !parse_event(rest, move)) {
      return false;
    }
  }
  schedule.insert(schedule.end(), static_cast<std::size_t>(count), move);
  return true;
}

}  // namespace

std::string to_text(const Schedule& schedule) {
  std::string text;
  for (std::size_t i = 0; i < schedule.size();) {
    const Move& move = schedule[i];
    std::size_t run = 1;
    if (is_plain(move)) {
      while (i + run < schedule.size() && is_plain(schedule[i + run]) &&
             schedule[i + run].worker == move.worker) {
        ++run;
      }
    }
    if (!text.empty()) text += ' ';
    if (move.kind == Move::Kind::kTime) {
      text += "time";
    } else {
      text += std::to_string(move.worker + 1);
      if (is_plain(move)) {
        if (run > 1) text += "x" + std::to_string(run);
      } else {
        text += ":" + std::string(name_of(move));
        if (move.choice == Choice::kStale || move.choice == Choice::kPlace) {
          text += "(-" + std::to_string(move.amount) + ")";
        }
      }
    }
    i += run;
  }
  return text;
}

ScheduleParse parse_schedule(std::string_view text) {
  ScheduleParse result;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t start = text.find_first_not_of(" \n\t", i);
    if (start == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(" \n\t", start), text.size());
    const std::string_view token = text.substr(start, end - start);
    if (!parse_token(token, result.schedule)) {
      result.error = "'" + std::string(token) +
                     "' is no move: write 1, 1x5, 1:stale(-1), 1:place(-1), 1:weak, 1:drain, "
                     "1:wake, 1:signal or time";
      return result;
    }
    i = end;
  }
  return result;
}

int switches(const Schedule& schedule) {
  int count = 0;
  int last = -1;
  for (const Move& move : schedule) {
    if (move.kind != Move::Kind::kStep) continue;
    if (last != -1 && last != move.worker) ++count;
    last = move.worker;
  }
  return count;
}

}  // namespace hobbs::explore
