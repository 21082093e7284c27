#include "scenarios/cases/case.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <stdexcept>

#include "scenarios/cases/arguments.h"

namespace hobbs {
namespace {

using Kind = CaseStep::Kind;

constexpr double kSecondsMax = 60;  // No sleep or alarm of a case is longer.

[[noreturn]] void fail(const std::string& why) { throw std::invalid_argument(why); }

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

/// Takes the text up to the next blank off the front.
std::string_view take_word(std::string_view& text) {
  text = trim(text);
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text = trim(text.substr(word.size()));
  return word;
}

bool is_name(std::string_view text, bool dots = false) {
  const auto good = [dots](unsigned char c) {
    return std::isalnum(c) || c == '_' || (dots && c == '.');
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), good) && text.front() != '.' &&
         text.back() != '.';
}

std::string name_of(std::string_view text, const char* what, bool dots = false) {
  if (!is_name(text, dots)) fail(quoted(text) + " is not " + what);
  return std::string(text);
}

Actor actor_of(std::string_view text) {
  const std::size_t dot = text.find('.');
  Actor actor;
  actor.process = name_of(text.substr(0, dot), "an actor (a process, or process.thread)");
  if (dot != std::string_view::npos) {
    actor.thread = name_of(text.substr(dot + 1), "the name of a thread");
  }
  return actor;
}

double seconds_of(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ptr != text.data() + text.size() || !(value >= 0)) {
    fail(quoted(text) + " is not a number of seconds");
  }
  if (value > kSecondsMax) fail(quoted(text) + " seconds are too long; the limit is 60");
  return value;
}

/// Splits "OBJ.member" at the first dot.
void set_target(CaseStep& step, std::string_view text, bool dotted_member) {
  const std::size_t dot = text.find('.');
  step.object = name_of(text.substr(0, dot), "the name of an object");
  if (dot == std::string_view::npos)
    fail(quoted(text) + " names no attribute; write OBJ.attribute");
  step.member = name_of(text.substr(dot + 1), "an attribute", dotted_member);
}

/// Takes "(ARGS)" off the end: the text before the first '(' stays.
std::string take_arguments(std::string_view& text) {
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos || text.back() != ')') {
    fail(quoted(text) + " is not a call; write OBJ.method(ARGS)");
  }
  std::string arguments(text.substr(open + 1, text.size() - open - 2));
  text = trim(text.substr(0, open));
  return arguments;
}

void parse_new(CaseStep& step, std::string_view rest) {
  if (rest.find('(') != std::string_view::npos) step.arguments = take_arguments(rest);
  const std::string_view first = take_word(rest);
  const std::string_view second = take_word(rest);
  const std::string_view third = take_word(rest);
  if (second.empty() || !rest.empty()) fail("write: new [ACTOR] OBJ kind(ARGS)");
  if (!third.empty()) step.actor = actor_of(first);
  step.object = name_of(third.empty() ? first : second, "the name of an object");
  step.member = name_of(third.empty() ? second : third, "a kind such as mp.Lock", true);
  if (!step.expectation) step.expectation = parse_expectation("none").expectation;
}

void parse_let(CaseStep& step, std::string_view rest) {
  const std::size_t equals = rest.find('=');
  const char* usage = "write: let NAME = ACTOR OBJ.attribute";
  if (equals == std::string_view::npos) fail(usage);
  // The variable is kept in `arguments`: object and member are those of the get.
  step.arguments = name_of(trim(rest.substr(0, equals)), "the name of a variable");
  rest = rest.substr(equals + 1);
  step.actor = actor_of(take_word(rest));
  set_target(step, rest, true);
}

/// Steps that begin with a word of their own. False: it is none of them.
bool parse_command(CaseStep& step, std::string_view word, std::string_view rest) {
  static const std::map<std::string_view, Kind> kCommands{
      {"new", Kind::kNew},      {"let", Kind::kLet},
      {"fork", Kind::kFork},    {"rawfork", Kind::kRawFork},
      {"spawn", Kind::kSpawn},  {"kill", Kind::kKill},
      {"quit", Kind::kQuit},    {"jointhread", Kind::kJoinThread},
      {"sleep", Kind::kSleep},  {"wait", Kind::kWait},
      {"settle", Kind::kSettle}};
  const auto command = kCommands.find(word);
  if (command == kCommands.end()) return false;
  step.kind = command->second;
  const bool answers =
      step.kind == Kind::kNew || step.kind == Kind::kWait || step.kind == Kind::kSettle;
  if (step.expectation && !answers) fail(quoted(word) + " takes no expectation");
  switch (step.kind) {
    case Kind::kNew: parse_new(step, rest); break;
    case Kind::kLet: parse_let(step, rest); break;
    case Kind::kSleep: step.seconds = seconds_of(rest); break;
    case Kind::kFork:
    case Kind::kRawFork:
      step.object = name_of(take_word(rest), "the name of a new process");
      step.actor = actor_of(rest);
      break;
    case Kind::kSpawn: step.object = name_of(rest, "the name of a new process"); break;
    case Kind::kKill:
    case Kind::kQuit: step.actor.process = name_of(rest, "a process"); break;
    case Kind::kJoinThread:
      step.actor = actor_of(rest);
      if (step.actor.thread == "main") fail("jointhread needs a thread: jointhread A.t1");
      break;
    default: step.actor = actor_of(rest); break;
  }
  return true;
}

/// "ACTOR verb ..." and "ACTOR OBJ.method(ARGS)".
void parse_action(CaseStep& step, std::string_view rest) {
  std::string_view after = rest;
  const std::string_view verb = take_word(after);
  if (verb == "get") {
    step.kind = Kind::kGet;
    set_target(step, after, true);
  } else if (verb == "set") {
    step.kind = Kind::kSet;
    const std::size_t equals = after.find('=');
    if (equals == std::string_view::npos) fail("write: set OBJ.attribute = VALUE");
    step.arguments = std::string(trim(after.substr(equals + 1)));
    set_target(step, trim(after.substr(0, equals)), false);
  } else if (verb == "del") {
    step.kind = Kind::kDelete;
    set_target(step, after, false);
  } else if (verb == "drop" || verb == "exit") {
    step.kind = verb == "drop" ? Kind::kDrop : Kind::kExit;
    step.object = name_of(after, "the name of an object");
  } else if (verb == "enter") {
    step.kind = Kind::kEnter;
    if (after.find('(') == std::string_view::npos) {
      step.object = name_of(after, "the name of an object");
    } else {
      step.arguments = take_arguments(after);
      set_target(step, after, false);
    }
  } else if (verb == "alarm") {
    step.kind = Kind::kAlarm;
    step.seconds = seconds_of(take_word(after));
    if (after != "raise" && after != "quiet") fail("write: alarm SECONDS raise|quiet");
    step.raises = after == "raise";
  } else if (verb == "rec") {
    step.kind = Kind::kRecord;
    step.member = name_of(after, "the name of a record");
  } else {
    if (rest.empty()) fail("an action is missing after the actor");
    step.arguments = take_arguments(rest);
    const std::size_t dot = rest.find('.');
    step.object = name_of(rest.substr(0, dot), "the name of an object");
    if (dot != std::string_view::npos) {
      step.member = name_of(rest.substr(dot + 1), "the name of a method", true);
    }
  }
}

CaseStep parse_step(std::string_view text, int line) {
  CaseStep step;
  step.text = text;
  step.line = line;
  const std::size_t arrow = text.find("->");
  if (arrow != std::string_view::npos) {
    CallExpectationParse parse = parse_expectation(text.substr(arrow + 2));
    if (!parse.error.empty()) fail(parse.error);
    step.expectation = std::move(parse.expectation);
  }
  std::string_view rest = trim(text.substr(0, arrow));
  const std::string_view word = take_word(rest);
  if (parse_command(step, word, rest)) return step;
  step.actor = actor_of(word);
  parse_action(step, rest);
  return step;
}

/// Follows a case without running it: what exists, what may be pending.
class Checker {
 public:
  void check(const CaseStep& step) {
    if (step.kind == Kind::kSleep) return;
    if (step.kind != Kind::kSpawn) need_process(step.actor.process);
    check_arguments(step);
    switch (step.kind) {
      case Kind::kNew: objects_.insert(step.object); break;
      case Kind::kFork:
      case Kind::kRawFork:
      case Kind::kSpawn:
        if (!processes_.emplace(step.object, true).second) {
          fail("there is a process " + quoted(step.object) + " already");
        }
        break;
      case Kind::kKill:
      case Kind::kQuit: processes_[step.actor.process] = false; break;
      case Kind::kWait:
      case Kind::kSettle: check_wait(step); break;
      case Kind::kAlarm:
      case Kind::kRecord:
      case Kind::kJoinThread: break;
      default:
        if (!objects_.contains(step.object)) fail("there is no object " + quoted(step.object));
    }
    if (step.kind == Kind::kLet) variables_[step.arguments] = "0";
    if (step.expectation && may_wait(*step.expectation) && step.kind != Kind::kWait) {
      ++pending_[step.actor];
    }
  }

 private:
  static bool may_wait(const CallExpectation& expectation) {
    return expectation.maybe || expectation.kind == CallExpectation::Kind::kBlocks;
  }

  void need_process(const std::string& name) const {
    const auto process = processes_.find(name);
    if (process == processes_.end()) fail("there is no process " + quoted(name));
    if (!process->second) fail("the process " + quoted(name) + " has ended already");
  }

  void check_arguments(const CaseStep& step) const {
    if (step.arguments.empty() || step.kind == Kind::kLet) return;
    std::string unknown;
    const Arguments arguments = parse_arguments(substitute(step.arguments, variables_, &unknown));
    if (!unknown.empty()) fail("the variable " + unknown + " has no value");
    if (!arguments.error.empty()) fail(arguments.error);
    if (step.kind == Kind::kSet &&
        (arguments.positional.size() != 1 || !arguments.keyword.empty())) {
      fail("set takes one value");
    }
  }

  void check_wait(const CaseStep& step) {
    if (step.expectation && may_wait(*step.expectation)) {
      fail("a wait expects the end of a call, not 'blocks' or 'maybe'");
    }
    int& pending = pending_[step.actor];
    if (pending == 0) {
      fail("no call of " + to_text(step.actor) + " can be waiting here");
    }
    --pending;
  }

  std::map<std::string, bool> processes_{{"A", true}};  // Name to alive.
  std::set<std::string> objects_;
  std::map<Actor, int> pending_;
  CaseVariables variables_{{"D", "/d"}};
};

ConformanceCase parse_header(std::string_view text, int line) {
  ConformanceCase result;
  result.line = line;
  const std::size_t close = text.find(']');
  const auto good = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
  if (close != std::string_view::npos) result.id = text.substr(1, close - 1);
  if (result.id.empty() || !std::all_of(result.id.begin(), result.id.end(), good)) {
    fail("a case begins with its name in brackets: [ML-01] lock | title | source");
  }
  std::vector<std::string> parts;
  std::string_view rest = text.substr(close + 1);
  while (parts.size() < 2 && rest.find(" | ") != std::string_view::npos) {
    const std::size_t bar = rest.find(" | ");
    parts.emplace_back(trim(rest.substr(0, bar)));
    rest = rest.substr(bar + 3);
  }
  parts.emplace_back(trim(rest));
  if (parts.size() < 2) fail("the title of the case is missing: [ML-01] lock | title | source");
  result.lock = parts[0];
  result.title = parts[1];
  if (parts.size() > 2) result.source = parts[2];
  if (result.lock.empty() || result.lock.find(' ') != std::string::npos) {
    fail(quoted(result.lock) + " is not the name of a lock");
  }
  return result;
}

}  // namespace

std::string to_text(const Actor& actor) {
  return actor.thread == "main" ? actor.process : actor.process + "." + actor.thread;
}

std::string to_text(const ConformanceCase& conformance_case) {
  std::string text =
      "[" + conformance_case.id + "] " + conformance_case.lock + " | " + conformance_case.title;
  if (!conformance_case.source.empty()) text += " | " + conformance_case.source;
  text += "\n";
  for (const CaseStep& step : conformance_case.steps) text += step.text + "\n";
  return text;
}

CaseFile parse_cases(std::string_view text) {
  CaseFile file;
  std::string section;
  Checker checker;
  int line = 0;
  try {
    while (!text.empty()) {
      ++line;
      const std::size_t end = text.find('\n');
      const std::string_view content = trim(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (content.starts_with("## ")) {
        section = trim(content.substr(3));
      } else if (content.empty() || content.front() == '#') {
        continue;
      } else if (content.front() == '[') {
        file.cases.push_back(parse_header(content, line));
        file.cases.back().section = section;
        checker = Checker();
      } else {
        if (file.cases.empty()) fail("a step stands before the first case");
        CaseStep step = parse_step(content, line);
        checker.check(step);
        file.cases.back().steps.push_back(std::move(step));
      }
    }
    if (file.cases.empty()) file.error = "there is no case in it";
  } catch (const std::invalid_argument& error) {
    file.cases.clear();
    file.error = "line " + std::to_string(line) + ": " + error.what();
  }
  return file;
}

}  // namespace hobbs
