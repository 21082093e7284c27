#include "harness/step/step_result.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <stdexcept>

#include "harness/step/baton.h"
#include "harness/step/native.h"
#include "harness/step/shrink.h"
#include "harness/step/trace.h"
#include "harness/step/walk.h"

namespace hobbs::step {
namespace {

constexpr std::chrono::seconds kShrinkMax{10};

bool ends_stuck(const SearchReport& report) {
  return report.rule == "LV-1" || report.rule == "CR-5";
}

/// What real processes say to a finding.
struct Confirmation {
  std::string evidence;       // Not empty: it stands.
  std::string contradiction;  // Not empty: they do something else than the model.
};

Confirmation confirm(World& world, const SearchReport& report) {
  const NativeReport native = run_natively(world, report.path, ends_stuck(report));
  switch (native.end) {
    case NativeReport::End::kReproduced:
      return {"reproduced by real processes on this kernel, instruction by instruction" +
                  (native.stall.empty() ? "" : "; " + native.stall),
              ""};
    case NativeReport::End::kRefused:
      return {"not tried with real processes: " + native.reason, ""};
    case NativeReport::End::kDiffers: break;
  }
  return {"", "the model finds \"" + report.summary +
                  "\", but the real processes do not follow it: " + native.reason};
}

/// A store buffer cannot be held back in a real process. But what breaks without one too is shown
/// without one.
Confirmation confirm_without_buffers(const StepCase& one, const Request& request) {
  WorldOptions options = one.options;
  options.memory = Memory::kSequential;
  World world(one.lock, one.program.program, options);
  const SearchReport report = search(world, {.deadline_ns = to_ns(request.until)});
  if (report.end != SearchReport::End::kViolation) {
    return {
        "not tried with real processes, whose store buffers cannot be held back: it was not "
        "found without them",
        ""};
  }
  Confirmation confirmed = confirm(world, report);
  if (!confirmed.evidence.empty()) {
    confirmed.evidence = "also without store buffers (" + report.rule + " after " +
                         std::to_string(report.path.size()) +
                         " transitions): " + confirmed.evidence;
  }
  return confirmed;
}

void add_finding(const StepCase& one, const SearchReport& report, World& world,
                 const std::string& how_found, const Request& request, Result& result) {
  const ReplayCase replay = to_replay(one, report);
  constexpr unsigned kReplays = 2;
  unsigned failed = 0;
  for (unsigned i = 0; i < kReplays; ++i) {
    failed += happens_again(one, report.rule, report.path, request.until) ? 1 : 0;
  }
  result.verdict = Verdict::kInconclusive;
  if (failed != kReplays) {
    result.reason = "a violation did not replay: " + report.summary;
    return;
  }
  const Confirmation confirmed = one.options.memory == Memory::kTotalStoreOrder
                                     ? confirm_without_buffers(one, request)
                                     : confirm(world, report);
  if (!confirmed.contradiction.empty()) {
    result.reason = confirmed.contradiction;
    return;
  }
  result.verdict = Verdict::kFail;
  result.rule = report.rule;
  Finding finding;
  finding.summary = report.summary;
  finding.program = to_text(one.program.program);
  finding.schedule = replay.schedule;
  finding.history = moments(world, report.path);
  finding.evidence.push_back("memory model " + memory_name(one.options.memory) + ", " +
                             std::to_string(report.path.size()) + " transitions, " + how_found);
  finding.evidence.push_back(confirmed.evidence);
  finding.failed = failed;
  finding.of = kReplays;
  finding.replay_json = to_json(replay);
  result.finding = std::move(finding);
}

/// Of this thread: others on the machine shall not make the search look slow.
std::int64_t processor_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::string counts_text(const SearchReport& report, std::int64_t took_ns) {
  char rate[64];
  const double per_us = 1000.0 * static_cast<double>(report.transitions) /
                        static_cast<double>(std::max<std::int64_t>(1, took_ns));
  std::snprintf(rate, sizeof rate, " at %.1f million a second", per_us);
  return std::to_string(report.states) + " states, " + std::to_string(report.transitions) +
         " transitions" + (report.transitions >= 1000 ? rate : "");
}

/// What was done, and how a finding of it was come by.
struct Searched {
  SearchReport report;
  std::string counts;
  std::string how_found = "the shortest way there";
  bool drawn = false;  // The way there is not the shortest, nor the program the smallest.
};

/// As the request's strategy says; without one, completely, and if that is too much, in part for as
/// long again.
Searched search_as_named(World& world, const Request& request) {
  Searched searched;
  SearchReport& report = searched.report;
  const std::int64_t now = to_ns(std::chrono::steady_clock::now());
  const std::int64_t until = to_ns(request.until);
  const std::int64_t start_ns = processor_ns();
  const bool by_walks = request.strategy == "random" || request.strategy == "pct";
  const bool may_fall_back = request.strategy.empty() && world.options().preemptions < 0;
  if (by_walks) {
    using By = WalkLimits::By;
    report = walk(world, {.deadline_ns = until,
                          .seed = request.seed,
                          .by = request.strategy == "pct" ? By::kPriorities : By::kChance});
    searched.how_found = "drawn";
    searched.drawn = true;
    searched.counts = std::to_string(report.transitions) + " transitions";
    return searched;
  }
  report = search(world, {.deadline_ns = may_fall_back ? now + (until - now) / 5 * 3 : until});
  searched.counts = counts_text(report, processor_ns() - start_ns);
  if (!may_fall_back || report.end != SearchReport::End::kLimit) return searched;
  const std::int64_t took = to_ns(std::chrono::steady_clock::now()) - now;
  const std::string first = report.summary;
  const std::uint64_t transitions = report.transitions;
  report = search_in_part(world, {.deadline_ns = std::min(until, now + 2 * took)}, request.seed);
  report.transitions += transitions;
  searched.how_found = "found after the complete search had to be given up";
  searched.drawn = true;
  if (report.end == SearchReport::End::kLimit) report.summary = first + "; then " + report.summary;
  return searched;
}

/// Tells a drawn finding of the smallest program that shows it; as it was drawn, if the real
/// processes do not follow the small one.
void add_small_finding(const StepCase& one, World& world, const Searched& searched,
                       const Request& request, Result& result) {
  const auto until = std::min(request.until, std::chrono::steady_clock::now() + kShrinkMax);
  const Small small = shrink(one, searched.report, until);
  StepCase told = one;
  told.program.program = small.program;
  const bool is_smaller = small.program != one.program.program;
  const std::string how = searched.how_found + (is_smaller ? " in a larger program" : "") +
                          (small.finished ? ", made small" : ", made as small as time allowed");
  World small_world(told.lock, told.program.program, told.options);
  add_finding(told, small.report, small_world, how, request, result);
  if (result.finding) return;
  add_finding(one, searched.report, world, searched.how_found, request, result);
}

std::string bound_text(int preemptions) {
  if (preemptions < 0) return "";
  return " with at most " + std::to_string(preemptions) + " preemptions";
}

Result search_one(const StepCase& one, const Request& request) {
  Result result = base_result(one);
  const auto start = std::chrono::steady_clock::now();
  World world(one.lock, one.program.program, one.options);
  const Searched searched = search_as_named(world, request);
  const SearchReport& report = searched.report;
  result.executions = report.transitions;
  std::string table;
  if (request.kills > 0 && !report.crash_points.empty()) {
    table = crash_table(report.crash_points, one.lock.claims.crash == CrashBehaviour::kStuck);
  }
  switch (report.end) {
    case SearchReport::End::kComplete:
      result.complete = one.options.preemptions < 0;
      result.reason = "all of " + searched.counts + bound_text(one.options.preemptions);
      if (report.stuck_as_promised > 0) {
        result.reason += "; " + std::to_string(report.stuck_as_promised) +
                         " stuck after a death, as the lock's claims allow";
      }
      if (!table.empty()) result.reason += "\n" + table;
      break;
    case SearchReport::End::kViolation:
      if (searched.drawn) {
        add_small_finding(one, world, searched, request, result);
      } else {
        add_finding(one, report, world, searched.how_found, request, result);
      }
      if (!result.finding) break;
      result.finding->evidence.push_back("among " + searched.counts);
      if (!table.empty()) result.finding->evidence.push_back(table);
      break;
    case SearchReport::End::kUnknown:
    case SearchReport::End::kLimit:
      result.verdict = report.end == SearchReport::End::kUnknown && request.beside_others
                           ? Verdict::kSkipped
                           : Verdict::kInconclusive;
      result.reason = report.summary + " (" + searched.counts + " visited)";
      break;
  }
  result.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  return result;
}

/// All schedules, or those within the bound, by real processes alone: --strategy native.
Result run_natively_only(const StepCase& one, const Request& request) {
  Result result = base_result(one);
  World world(one.lock, one.program.program, one.options);
  const auto start = std::chrono::steady_clock::now();
  const BatonReport report =
      run_all_schedules(world, one.options.preemptions, to_ns(request.until));
  result.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::steady_clock::now() - start)
                           .count();
  result.executions = report.schedules;
  result.complete = report.complete && one.options.preemptions < 0;
  result.reason = std::to_string(report.schedules) + " schedules by real processes, " +
                  std::to_string(report.stops) + " stops";
  if (!report.finding.empty()) {
    // Without the search that found it there is no schedule to replay.
    result.verdict = Verdict::kInconclusive;
    result.reason = report.finding + " after " + result.reason +
                    "; search it without --strategy native for the schedule";
  } else if (!report.complete) {
    result.verdict = Verdict::kInconclusive;
    result.reason =
        (report.refusal.empty() ? "out of time" : report.refusal) + " after " + result.reason;
  }
  return result;
}

}  // namespace

Result base_result(const StepCase& one) {
  Result result;
  result.lock = one.lock.name;
  result.scenario = one.scenario();
  result.driver = "step";
  result.topology = "processes";
  result.rule = one.rules();
  return result;
}

std::vector<Moment> moments(World& world, const std::vector<Transition>& path) {
  std::vector<Moment> history;
  std::vector<TraceLine> lines = trace(world, path);
  for (std::size_t i = 0; i < path.size(); ++i) {
    Moment moment;
    moment.worker = path[i].worker + 1u;
    moment.text = std::move(lines[i].text);
    moment.where = std::move(lines[i].where);
    moment.evidence = i + 1 == path.size();
    history.push_back(std::move(moment));
  }
  return history;
}

Result result_of(const StepCase& one, const Request& request) {
  try {
    return request.strategy == "native" ? run_natively_only(one, request)
                                        : search_one(one, request);
  } catch (const std::runtime_error& error) {
    Result result = base_result(one);
    result.verdict = Verdict::kInconclusive;
    result.reason = error.what();
    return result;
  }
}

}  // namespace hobbs::step
