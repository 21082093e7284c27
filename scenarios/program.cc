#include "scenarios/program.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace hobbs {
namespace {

struct VerbName {
  std::string_view text;
  Verb verb;
  Mode mode;
};

// The longer names come first where one is a prefix of another only by accident of order; lookup
// is by exact name, so order matters for printing alone: the first match of (verb, mode) wins.
constexpr std::array kVerbNames{
    VerbName{"lock", Verb::kAcquire, Mode::kExclusive},
    VerbName{"lock_shared", Verb::kAcquire, Mode::kShared},
    VerbName{"try", Verb::kTry, Mode::kExclusive},
    VerbName{"try_shared", Verb::kTry, Mode::kShared},
    VerbName{"timed", Verb::kTimed, Mode::kExclusive},
    VerbName{"timed_shared", Verb::kTimed, Mode::kShared},
    VerbName{"unlock", Verb::kRelease, Mode::kExclusive},
    VerbName{"upgrade", Verb::kUpgrade, Mode::kExclusive},
    VerbName{"try_upgrade", Verb::kTryUpgrade, Mode::kExclusive},
    VerbName{"downgrade", Verb::kDowngrade, Mode::kExclusive},
    VerbName{"work", Verb::kWork, Mode::kExclusive},
    VerbName{"meet", Verb::kMeet, Mode::kExclusive},
    VerbName{"post", Verb::kPost, Mode::kExclusive},
    VerbName{"misuse", Verb::kMisuse, Mode::kExclusive},
    VerbName{"misuse_shared", Verb::kMisuse, Mode::kShared},
    VerbName{"fork", Verb::kFork, Mode::kExclusive},
    VerbName{"exec", Verb::kExec, Mode::kExclusive},
    VerbName{"die", Verb::kDie, Mode::kExclusive},
    VerbName{"destroy", Verb::kDestroy, Mode::kExclusive},
    VerbName{"rest", Verb::kRest, Mode::kExclusive},
};

bool takes_duration(Verb verb) {
  return verb == Verb::kTimed || verb == Verb::kWork || verb == Verb::kRest;
}

constexpr std::int64_t kLongestNs = 8'640'000'000'000'000;  // A hundred days.

std::string duration_text(std::int64_t ns) {
  if (ns == kForEver) return "ever";
  if (ns % 1'000'000 == 0) return std::to_string(ns / 1'000'000) + "ms";
  if (ns % 1'000 == 0) return std::to_string(ns / 1'000) + "us";
  return std::to_string(ns) + "ns";
}

bool parse_integer(std::string_view text, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_duration(std::string_view text, std::int64_t& ns) {
  for (const auto& [unit, scale] : {std::pair<std::string_view, std::int64_t>{"ms", 1'000'000},
                                    {"us", 1'000},
                                    {"ns", 1},
                                    {"s", 1'000'000'000}}) {
    if (text.size() > unit.size() && text.ends_with(unit) &&
        parse_integer(text.substr(0, text.size() - unit.size()), ns)) {
      return ns >= 0 && !__builtin_mul_overflow(ns, scale, &ns) && ns <= kLongestNs;
    }
  }
  return false;
}

constexpr std::array kFaultNames{
    std::pair<std::string_view, Fault::Kind>{"kill_thread", Fault::Kind::kKillThread},
    std::pair<std::string_view, Fault::Kind>{"kill", Fault::Kind::kKillProcess},
    std::pair<std::string_view, Fault::Kind>{"stop", Fault::Kind::kStop},
    std::pair<std::string_view, Fault::Kind>{"signal", Fault::Kind::kSignal},
    std::pair<std::string_view, Fault::Kind>{"fork_at", Fault::Kind::kFork},
};

std::string step_text(const Step& step) {
  std::string text = "?";
  for (const VerbName& name : kVerbNames) {
    const bool mode_matters = step.verb == Verb::kAcquire || step.verb == Verb::kTry ||
                              step.verb == Verb::kTimed || step.verb == Verb::kMisuse;
    if (name.verb == step.verb && (!mode_matters || name.mode == step.mode)) {
      text = name.text;
      break;
    }
  }
  if (step.lock != 0) text += "#" + std::to_string(step.lock);
  if (takes_duration(step.verb) && step.amount != 0) {
    text += "(" + duration_text(step.amount) + ")";
  } else if (step.verb == Verb::kMeet || (step.verb == Verb::kAcquire && step.amount > 1)) {
    text += "(" + std::to_string(step.amount) + ")";
  }
  return text;
}

/// Parses one step; returns an error sentence or nothing.
std::string parse_step(std::string_view token, Step& step) {
  const std::string whole(token);
  std::string_view argument;
  if (const auto open = token.find('('); open != std::string_view::npos) {
    if (token.back() != ')') return "step '" + whole + "' lacks its closing parenthesis";
    argument = token.substr(open + 1, token.size() - open - 2);
    token = token.substr(0, open);
  }
  if (const auto hash = token.find('#'); hash != std::string_view::npos) {
    std::int64_t lock = 0;
    if (!parse_integer(token.substr(hash + 1), lock) || lock < 0 ||
        lock >= static_cast<std::int64_t>(kMaxLocksPerProgram)) {
      return "step '" + whole + "' names no lock: write #0 to #7";
    }
    step.lock = static_cast<std::uint8_t>(lock);
    token = token.substr(0, hash);
  }
  const VerbName* found = nullptr;
  for (const VerbName& name : kVerbNames) {
    if (name.text == token) found = &name;
  }
  if (found == nullptr) {
    return "unknown step '" + whole + "': a step is lock, try, timed(2ms), unlock, work, ...";
  }
  step.verb = found->verb;
  step.mode = found->mode;
  if (argument.empty()) return "";
  if (step.verb == Verb::kMeet || step.verb == Verb::kAcquire) {
    if (!parse_integer(argument, step.amount) || step.amount < 1 || step.amount > 1'000'000) {
      return "'" + whole + "' takes a count: meet(2), lock(300)";
    }
  } else if (step.verb == Verb::kTimed && argument == "ever") {
    step.amount = kForEver;
  } else if (!takes_duration(step.verb) || !parse_duration(argument, step.amount)) {
    return "'" + whole + "' does not take that argument: durations read 20us, 2ms, 1s (no more " +
           "than a hundred days); timed(ever)";
  }
  return "";
}

/// Parses one `name=value` option; returns an error sentence or nothing.
std::string parse_option(std::string_view token, Program& program) {
  const std::string whole(token);
  const auto equals = token.find('=');
  if (equals == std::string_view::npos) return "option '" + whole + "' is not name=value";
  const std::string_view name = token.substr(0, equals), text = token.substr(equals + 1);
  for (const auto& [fault_name, kind] : kFaultNames) {
    if (name != fault_name) continue;
    const auto at = text.find('@');
    std::int64_t worker = 0, point = 0;
    if (at == std::string_view::npos || !parse_integer(text.substr(0, at), worker) ||
        !parse_integer(text.substr(at + 1), point) || worker < 0 || point < 0) {
      return "fault '" + whole + "' is not of the form " + std::string(name) + "=WORKER@POINT";
    }
    program.faults.push_back(
        {kind, static_cast<std::uint8_t>(worker), static_cast<std::uint32_t>(point)});
    return "";
  }
  std::int64_t value = 0;
  if (!parse_integer(text, value) || value < 0 || value > UINT32_MAX) {
    return "option '" + whole + "' needs a whole number";
  }
  const auto number = static_cast<std::uint32_t>(value);
  if (name == "repeat") {
    program.repeat = number;
  } else if (name == "first_id") {
    program.first_id = number;
  } else if (name == "id_step") {
    program.id_step = number;
  } else if (name == "preset") {
    program.preset = number;
  } else {
    return "unknown option '" + whole +
           "': repeat, first_id, id_step, preset, kill, stop, signal, fork_at";
  }
  return "";
}

std::vector<std::string_view> split_blanks(std::string_view text) {
  std::vector<std::string_view> tokens;
  std::size_t i = 0;
  while (i < text.size()) {
    while (i < text.size() && std::isspace(static_cast<unsigned char>(text[i]))) ++i;
    const std::size_t start = i;
    while (i < text.size() && !std::isspace(static_cast<unsigned char>(text[i]))) ++i;
    if (i > start) tokens.push_back(text.substr(start, i - start));
  }
  return tokens;
}

}  // namespace

std::string_view to_string(Topology topology) {
  switch (topology) {
    case Topology::kFork: return "fork";
    case Topology::kSpawn: return "spawn";
    case Topology::kThreads: return "threads";
    case Topology::kMixed: return "mixed";
  }
  return "?";
}

void preset_pair(const LockOps& ops, void* lock) {
  ops.acquire(lock);
  ops.release(lock);
  if (!ops.has_shared()) return;
  ops.acquire_shared(lock);
  ops.release_shared(lock);
}

std::uint32_t platform_id(const Program& program, std::size_t i) {
  const auto n = static_cast<std::uint32_t>(program.workers.size());
  const std::uint32_t place = (static_cast<std::uint32_t>(i) + program.first_id - 1) % n;
  return 1 + place * program.id_step;
}

std::uint32_t last_platform_id(const Program& program) {
  const auto n = static_cast<std::uint32_t>(program.workers.size());
  return n == 0 ? 0 : 1 + (n - 1) * program.id_step;
}

std::string to_text(const Program& program) {
  std::string options;
  const auto option = [&options](std::string_view name, const std::string& value) {
    if (!options.empty()) options += ' ';
    options += std::string(name) + "=" + value;
  };
  if (program.repeat != 1) option("repeat", std::to_string(program.repeat));
  if (program.first_id != 1) option("first_id", std::to_string(program.first_id));
  if (program.id_step != 1) option("id_step", std::to_string(program.id_step));
  if (program.preset != 0) option("preset", std::to_string(program.preset));
  for (const Fault& fault : program.faults) {
    for (const auto& [name, kind] : kFaultNames) {
      if (kind == fault.kind) {
        option(name, std::to_string(fault.worker) + "@" + std::to_string(fault.point));
      }
    }
  }
  std::string text = options.empty() ? "" : options + ": ";
  for (std::size_t w = 0; w < program.workers.size(); ++w) {
    if (w != 0) text += " | ";
    for (std::size_t s = 0; s < program.workers[w].size(); ++s) {
      if (s != 0) text += ' ';
      text += step_text(program.workers[w][s]);
    }
  }
  return text;
}

ParseResult parse_program(std::string_view text) {
  ParseResult result;
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    for (const std::string_view token : split_blanks(text.substr(0, colon))) {
      result.error = parse_option(token, result.program);
      if (!result.error.empty()) return result;
    }
    text = text.substr(colon + 1);
  }
  while (true) {
    const auto bar = text.find('|');
    std::vector<Step> steps;
    for (const std::string_view token : split_blanks(text.substr(0, bar))) {
      Step step;
      result.error = parse_step(token, step);
      if (!result.error.empty()) return result;
      steps.push_back(step);
    }
    if (steps.size() > kMaxStepsPerWorker) {
      result.error = "a worker has more than 4096 steps; use repeat=N";
      return result;
    }
    result.program.workers.push_back(std::move(steps));
    if (bar == std::string_view::npos) break;
    text = text.substr(bar + 1);
  }
  if (result.program.workers.size() > kMaxWorkers) {
    result.error = "a program has at most 64 workers";
  }
  return result;
}

std::uint64_t deepest_nesting(const Program& program) {
  std::uint64_t deepest = 0;
  for (const auto& steps : program.workers) {
    std::vector<std::uint64_t> open;  // Acquiring steps: how many acquires each made.
    std::uint64_t depth = 0;
    for (const Step& step : steps) {
      if (step.verb == Verb::kAcquire || step.verb == Verb::kTry || step.verb == Verb::kTimed) {
        const bool many = step.verb == Verb::kAcquire && step.amount > 1;
        open.push_back(many ? static_cast<std::uint64_t>(step.amount) : 1);
        deepest = std::max(deepest, depth += open.back());
      } else if (step.verb == Verb::kRelease && !open.empty()) {
        depth -= open.back();
        open.pop_back();
      }
    }
  }
  return deepest;
}

std::size_t size_of(const Program& program) {
  std::size_t steps = program.faults.size();
  for (const auto& worker : program.workers) steps += worker.size();
  return steps;
}

}  // namespace hobbs
