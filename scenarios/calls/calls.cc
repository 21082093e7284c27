#include "scenarios/calls/calls.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace hobbs {
namespace {

using Kind = Move::Kind;

constexpr std::int64_t kWaitNsMax = 60'000'000'000;

constexpr std::pair<std::string_view, Verb> kVerbs[] = {
    {"acquire", Verb::kAcquire},     {"try", Verb::kTry},
    {"timed", Verb::kTimed},         {"release", Verb::kRelease},
    {"upgrade", Verb::kUpgrade},     {"try_upgrade", Verb::kTryUpgrade},
    {"downgrade", Verb::kDowngrade},
};
constexpr std::pair<std::string_view, Kind> kCommands[] = {
    {"fork", Kind::kFork}, {"rawfork", Kind::kRawFork}, {"spawn", Kind::kSpawn},
    {"kill", Kind::kKill}, {"end", Kind::kEnd},
};

template <class Table, class Value>
std::string name_in(const Table& table, Value value) {
  for (const auto& [name, one] : table) {
    if (one == value) return std::string(name);
  }
  return "?";
}

[[noreturn]] void fail(const std::string& why) { throw std::invalid_argument(why); }

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  while (true) {
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::string name_of(std::string_view text) {
  const bool good = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_';
  });
  if (!good) fail("'" + std::string(text) + "' is not the name of a process or thread");
  return std::string(text);
}

Actor actor_of(const std::string& text) {
  const std::size_t dot = text.find('.');
  Actor actor{name_of(std::string_view(text).substr(0, dot)), "main"};
  if (dot != std::string::npos) actor.thread = name_of(std::string_view(text).substr(dot + 1));
  return actor;
}

std::int64_t wait_of(const std::string& text) {
  std::int64_t ms = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), ms);
  const bool good = parsed.ec == std::errc() && std::string_view(parsed.ptr) == "ms";
  if (!good || ms < 0 || ms > kWaitNsMax / 1'000'000) {
    fail("'" + text + "' is not a wait of 0ms to 60000ms");
  }
  return ms * 1'000'000;
}

Move call_of(std::vector<std::string> words) {
  Move move;
  move.actor = actor_of(words.front());
  if (words.size() < 2) fail("a call is missing after the actor");
  const auto verb = std::find_if(std::begin(kVerbs), std::end(kVerbs),
                                 [&](const auto& one) { return one.first == words[1]; });
  if (verb == std::end(kVerbs)) fail("'" + words[1] + "' is not a call");
  move.verb = verb->second;
  words.erase(words.begin(), words.begin() + 2);
  if (move.verb == Verb::kTimed) {
    if (words.empty()) fail("a timed call needs its wait: timed 30ms");
    move.wait_ns = wait_of(words.front());
    words.erase(words.begin());
  }
  if (!words.empty() && words.front() == "shared") {
    move.mode = Mode::kShared;
    words.erase(words.begin());
  }
  if (!words.empty()) fail("'" + words.front() + "' is too much");
  return move;
}

Move move_of(std::vector<std::string> words) {
  const bool together = words.back() == "&";
  if (together) words.pop_back();
  if (words.empty()) fail("a move is missing before '&'");
  const auto command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                    [&](const auto& one) { return one.first == words[0]; });
  if (command == std::end(kCommands)) {
    Move move = call_of(std::move(words));
    move.together = together;
    return move;
  }
  if (together) fail("only calls can be made together with what follows");
  Move move;
  move.kind = command->second;
  const bool forks = move.kind == Kind::kFork || move.kind == Kind::kRawFork;
  if (words.size() != (forks ? 3U : 2U))
    fail("write: " + words[0] + (forks ? " NEW PARENT" : " NAME"));
  if (forks || move.kind == Kind::kSpawn) move.process = name_of(words[1]);
  if (forks) move.actor = actor_of(words[2]);
  if (move.kind == Kind::kKill || move.kind == Kind::kEnd) move.actor = actor_of(words[1]);
  if (move.kind == Kind::kEnd && move.actor.thread == "main") fail("a main thread cannot end");
  return move;
}

}  // namespace

std::string to_text(const Move& move) {
  switch (move.kind) {
    case Kind::kFork:
    case Kind::kRawFork:
      return name_in(kCommands, move.kind) + " " + move.process + " " + to_text(move.actor);
    case Kind::kSpawn: return "spawn " + move.process;
    case Kind::kKill: return "kill " + move.actor.process;
    case Kind::kEnd: return "end " + to_text(move.actor);
    case Kind::kCall: break;
  }
  std::string text = to_text(move.actor) + " " + name_in(kVerbs, move.verb);
  if (move.verb == Verb::kTimed) text += " " + std::to_string(move.wait_ns / 1'000'000) + "ms";
  if (move.mode == Mode::kShared) text += " shared";
  return move.together ? text + " &" : text;
}

std::string to_text(const Moves& moves) {
  std::string text;
  for (const Move& move : moves) text += to_text(move) + "\n";
  return text;
}

MovesParse parse_moves(std::string_view text) {
  MovesParse parse;
  int number = 0;
  while (!text.empty() && parse.error.empty()) {
    ++number;
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::vector<std::string> words = words_of(line.substr(0, line.find('#')));
    if (words.empty()) continue;
    try {
      parse.moves.push_back(move_of(words));
      if (parse.moves.size() > kMaxMoves) fail("there are more than 256 moves");
    } catch (const std::invalid_argument& error) {
      parse.error = "line " + std::to_string(number) + ": " + error.what();
    }
  }
  if (!parse.error.empty()) parse.moves.clear();
  return parse;
}

}  // namespace hobbs
