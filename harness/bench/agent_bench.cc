#include "harness/bench/agent_bench.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "harness/conform/conform_driver.h"

namespace hobbs::bench {
namespace {

using Json = nlohmann::json;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr char kProcess[] = "A";
constexpr char kNothing[] = "nothing";  // The lock that does nothing.
constexpr seconds kLocksPatience{20};
constexpr std::uint64_t kCountMax = 1'000'000'000'000'000;  // Sums of which do not overflow.
constexpr std::uint64_t kClockMax = INT64_MAX / 2;
constexpr seconds kAnswerPatience{10};  // Beyond what the agent itself waits.
constexpr std::chrono::milliseconds kOverheadRound{100};

const char* name_of(Probe probe) {
  switch (probe) {
    case Probe::kNone: return "none";
    case Probe::kClosed: return "closed";
    case Probe::kOpen: return "open";
  }
  return "";
}

/// Empty: that is refused.
std::string name_of(Shape shape) {
  switch (shape) {
    case Shape::kLoop: return "loop";
    case Shape::kPingPong: return "ping_pong";
    case Shape::kTry: return "try";
    case Shape::kTimed: return "timed";
    case Shape::kManyLocks:
    case Shape::kCrash: return "";
  }
  return "";
}

std::string in_words(const CallReply& reply) {
  return reply.message.empty() ? reply.error : reply.error + ": " + reply.message;
}

std::uint64_t count_of(const Json& value, std::uint64_t most = kCountMax) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
    throw AgentFault("the agent's result of a round has a count that is none: " +
                     start_of(value.dump()));
  }
  return value.get<std::uint64_t>();
}

bool is_name(std::string_view kind) {
  return !kind.empty() && std::all_of(kind.begin(), kind.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '/' && c != ',' && c != '"' && c != '\'';
  });
}

void read_histogram(const Json& pairs, Histogram& into) {
  for (const Json& pair : pairs) {
    into.record(count_of(pair.at(0)), count_of(pair.at(1)));
  }
}

std::vector<AgentLock> seeds_refused(const std::string& why) {
  std::vector<AgentLock> locks;
  for (const LockSpec& lock : agent_catalog()) locks.push_back({lock.name, {{"all", why}}});
  return locks;
}

}  // namespace

std::string refusal(const AgentLock& lock, const Workload& workload) {
  if (workload.shape == Shape::kManyLocks) return "agents measure one lock at a time";
  if (workload.shape == Shape::kCrash) return "agents kill no holders";
  const std::string shape = name_of(workload.shape);
  const std::pair<std::string, bool> needs[] = {{"all", true},
                                                {"processes", workload.processes > 1},
                                                {"threads", workload.threads > 1},
                                                {"shared", workload.reads_per_mille != 0},
                                                {shape, true}};
  for (const auto& [what, needed] : needs) {
    const auto why = lock.refuses.find(what);
    if (needed && why != lock.refuses.end()) return why->second;
  }
  return "";
}

void read_round(const std::string& json, const Workload& workload, RoundSum& into) {
  try {
    const Json result = Json::parse(json);
    std::int64_t from_ns = INT64_MAX;
    std::int64_t to_ns = INT64_MIN;
    for (const Json& worker : result.at("workers")) {
      const auto count = [&](const char* what) { return count_of(worker.at(what)); };
      into.operations.push_back(static_cast<double>(count("operations")));
      into.exclusive += count("exclusive");
      into.failures += count("failures");
      into.handoffs += count("handoffs");
      into.switches += count("switches");
      into.cpu_ns += static_cast<std::int64_t>(count("cpu_ns"));
      const auto clock = [&](const char* what) {
        return static_cast<std::int64_t>(count_of(worker.at(what), kClockMax));
      };
      from_ns = std::min(from_ns, clock("from_ns"));
      to_ns = std::max(to_ns, clock("to_ns"));
    }
    into.entries = count_of(result.at("entries"));
    into.elapsed_ns = static_cast<double>(to_ns) - static_cast<double>(from_ns);
    read_histogram(result.at("acquire"), into.acquire);
    read_histogram(result.at("response"), into.response);
    read_histogram(result.at("handoff"), into.handoff);
    read_histogram(result.at("bypass"), into.bypass);
  } catch (const Json::exception& error) {
    throw AgentFault("the agent's result of a round is none: " + start_of(json));
  }
  if (into.operations.size() != workload.workers() || into.elapsed_ns <= 0 ||
      into.entries > into.exclusive) {
    throw AgentFault("the agent's result of a round contradicts itself: " + start_of(json));
  }
}

AgentBench::AgentBench(AgentCommand command, std::string directory, nanoseconds patience)
    : command_(std::move(command)), directory_(std::move(directory)), patience_(patience) {}

CallReply AgentBench::ask(const std::string& object, nanoseconds patience) {
  try {
    if (world_ == nullptr) {
      world_ = std::make_unique<World>(command_.words, directory_);
      world_->spawn(kProcess);
    }
    if (std::optional<CallReply> reply = world_->ask(kProcess, object, patience.count())) {
      return *std::move(reply);
    }
    throw AgentFault(fmt::format("the agent did not answer within {} s",
                                 std::chrono::duration_cast<seconds>(patience).count()));
  } catch (const std::runtime_error&) {
    world_.reset();  // With all that it started.
    throw;
  }
}

void AgentBench::learn_locks() {
  const CallReply reply = ask(R"({"op":"locks"})", kLocksPatience);
  if (!reply.error.empty()) {
    locks_ = seeds_refused("its agent does not measure: it knows no operation 'locks' (" +
                           in_words(reply) + ")");
    return;
  }
  for (const Json& lock : Json::parse(reply.result_json)) {
    locks_.push_back({lock.at("kind").get<std::string>(),
                      lock.value("refuses", std::map<std::string, std::string>())});
    if (!is_name(locks_.back().kind)) {
      throw AgentFault("its lock '" + start_of(locks_.back().kind) +
                       "' has a name that no pattern can have");
    }
  }
  measures_ = std::erase_if(locks_, [](const AgentLock& one) { return one.kind == kNothing; }) != 0;
}

std::string AgentBench::start() {
  std::string why = command_.error;
  if (why.empty()) {
    try {
      learn_locks();
    } catch (const Json::exception&) {
      why = "its answer to 'locks' is no list of kinds";
    } catch (const std::runtime_error& error) {
      why = error.what();
    }
  }
  if (!why.empty()) locks_ = seeds_refused(why);
  return why;
}

std::vector<Subject> AgentBench::subjects() {
  std::vector<Subject> all;
  for (const AgentLock& lock : locks_) {
    all.push_back({row_of(lock),
                   [lock](const Workload& workload) { return bench::refusal(lock, workload); },
                   [this, lock](Bench&, const Workload& workload, nanoseconds round, bool latency) {
                     return measure(lock, workload, round, latency);
                   }});
  }
  return all;
}

std::string AgentBench::run(const AgentLock& lock, const Workload& workload, nanoseconds round,
                            Probe probe, double gap_ns, RoundSum& into) {
  const std::string path = fmt::format("{}/agent-lock-{}", directory_, ++paths_);
  const Json order = {{"op", "bench"},
                      {"kind", lock.kind},
                      {"path", path},
                      {"processes", workload.processes},
                      {"threads", workload.threads},
                      {"shape", name_of(workload.shape)},
                      {"hold_ns", workload.hold_ns},
                      {"think_ns", workload.think_ns},
                      {"timeout_ns", workload.timeout_ns},
                      {"reads_per_mille", workload.reads_per_mille},
                      {"pinned", workload.pinned},
                      {"probe", name_of(probe)},
                      {"gap_ns", std::max<std::int64_t>(1, static_cast<std::int64_t>(gap_ns))},
                      {"duration_ns", round.count()},
                      {"patience_ns", patience_.count()}};
  std::string error;
  try {
    // The agent waits for its workers to begin, and then for them to come back.
    const CallReply reply = ask(order.dump(), round + 2 * patience_ + kAnswerPatience);
    if (reply.error.empty()) {
      read_round(reply.result_json, workload, into);
    } else {
      error = "the agent answered with " + in_words(reply);
    }
  } catch (const std::runtime_error& fault) {
    error = fault.what();
  }
  unlink(path.c_str());
  return error;
}

Measurement AgentBench::measure(const AgentLock& lock, const Workload& workload, nanoseconds round,
                                bool latency) {
  return measure_rounds(workload, latency, [&](Probe probe, double gap_ns, RoundSum& into) {
    return run(lock, workload, round, probe, gap_ns, into);
  });
}

std::vector<std::pair<std::string, std::string>> AgentBench::overhead() {
  if (!measures_) return {};
  const Measurement measured = measure({kNothing, {}}, overhead_workload(), kOverheadRound, true);
  std::vector<std::pair<std::string, std::string>> facts{{"agent", command_.name}};
  for (const auto& [name, metric] :
       {std::pair{"agent_overhead_loop_ns", "cpu_ns_per_operation"},
        {"agent_overhead_probed_loop_ns", "probed_cpu_ns_per_operation"}}) {
    // Time on a core, which other programs take nothing away from.
    const auto found = measured.metrics.find(metric);
    if (found != measured.metrics.end()) {
      facts.emplace_back(name, fmt::format("{:.1f}", found->second));
    }
  }
  return facts;
}

}  // namespace hobbs::bench
