#include "reports/bench_run.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/statistics.h"

namespace hobbs {
namespace {

using Json = nlohmann::ordered_json;

/// Numbers of Google Benchmark's own that are no counters.
constexpr std::string_view kOwnKeys[] = {"family_index", "per_family_instance_index",
                                         "repetitions",  "repetition_index",
                                         "threads",      "iterations",
                                         "real_time",    "cpu_time"};

struct Word {
  std::string_view prefix;
  BenchState state;
};
constexpr Word kWords[] = {{"refused: ", BenchState::kRefused},
                           {"not run: ", BenchState::kNotRun},
                           {"broken: ", BenchState::kBroken},
                           {"failed: ", BenchState::kFailed}};

bool is_error_word(std::string_view text) {
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [text](const Word& word) { return text.starts_with(word.prefix); });
}

void set_error(BenchCase& into, const std::string& message) {
  into.state = BenchState::kFailed;
  into.reason = message;
  for (const Word& word : kWords) {
    if (!message.starts_with(word.prefix)) continue;
    into.state = word.state;
    into.reason = message.substr(word.prefix.size());
  }
}

double nanoseconds(const Json& entry, const char* key) {
  const std::string unit = entry.value("time_unit", "ns");
  const double factor = unit == "s" ? 1e9 : unit == "ms" ? 1e6 : unit == "us" ? 1e3 : 1;
  return entry.at(key).get<double>() * factor;
}

BenchSample read_sample(const Json& entry) {
  BenchSample sample;
  sample.ns = nanoseconds(entry, "real_time");
  sample.cpu_ns = nanoseconds(entry, "cpu_time");
  for (const auto& [key, value] : entry.items()) {
    const bool own = std::find(std::begin(kOwnKeys), std::end(kOwnKeys), key) != std::end(kOwnKeys);
    if (value.is_number() && !own) sample.metrics[key] = value.get<double>();
  }
  return sample;
}

BenchCase& case_of(BenchRun& run, const std::string& full_name) {
  // What Google Benchmark adds about how it ran it.
  const std::string name = full_name.substr(0, full_name.find("/iterations:"));
  const std::size_t slash = name.find('/');
  const std::string lock = slash == std::string::npos ? "" : name.substr(0, slash);
  const std::string workload = slash == std::string::npos ? name : name.substr(slash + 1);
  for (BenchCase& known : run.cases) {
    if (known.lock == lock && known.workload == workload) return known;
  }
  BenchCase fresh;
  fresh.lock = lock;
  fresh.workload = workload;
  run.cases.push_back(fresh);
  return run.cases.back();
}

BenchRun read_run(const Json& json) {
  BenchRun run;
  for (const auto& [key, value] : json.at("context").items()) {
    if (value.is_structured()) continue;
    run.context.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    if (key == "date") run.date = run.context.back().second;
  }
  std::vector<Json> entries = json.at("benchmarks");
  // Repetitions may have been run in random order; families are numbered as they were registered.
  std::stable_sort(entries.begin(), entries.end(), [](const Json& a, const Json& b) {
    return a.value("family_index", 0) < b.value("family_index", 0);
  });
  for (const Json& entry : entries) {
    if (entry.value("run_type", "iteration") != "iteration") continue;
    BenchCase& into = case_of(run, entry.value("run_name", entry.at("name").get<std::string>()));
    const std::string label = entry.value("label", "");
    if (entry.value("error_occurred", false)) {
      set_error(into, entry.value("error_message", ""));
    } else if (is_error_word(label)) {
      set_error(into, label);
    } else {
      into.samples.push_back(read_sample(entry));
    }
  }
  for (BenchCase& one : run.cases) {
    // The budget ended between two repetitions: fewer of them are still a result.
    if (one.state == BenchState::kNotRun && !one.samples.empty()) {
      one.state = BenchState::kMeasured;
      one.reason.clear();
    }
  }
  return run;
}

bool measured(const BenchCase& bench_case) {
  return bench_case.state == BenchState::kMeasured && !bench_case.samples.empty();
}

}  // namespace

BenchParse parse_bench(std::string_view text) {
  BenchParse parsed;
  try {
    parsed.run = read_run(Json::parse(text));
  } catch (const std::exception& error) {
    parsed.error = std::string("not a Google Benchmark result: ") + error.what();
  }
  return parsed;
}

bool is_bench_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  return json.is_object() && json.contains("context") && json.contains("benchmarks");
}

double typical(const BenchCase& bench_case, const std::string& metric) {
  std::vector<double> values;
  for (const BenchSample& sample : bench_case.samples) {
    if (metric == "ns" || metric == "cpu_ns") {
      values.push_back(metric == "ns" ? sample.ns : sample.cpu_ns);
    } else if (const auto found = sample.metrics.find(metric); found != sample.metrics.end()) {
      values.push_back(found->second);
    }
  }
  return median(std::move(values));
}

std::vector<std::string> workloads_of(const BenchRun& run) {
  std::vector<std::string> names;
  for (const BenchCase& one : run.cases) {
    if (std::find(names.begin(), names.end(), one.workload) == names.end()) {
      names.push_back(one.workload);
    }
  }
  return names;
}

const BenchCase* find_case(const BenchRun& run, std::string_view lock, std::string_view workload) {
  for (const BenchCase& one : run.cases) {
    if (one.lock == lock && one.workload == workload) return &one;
  }
  return nullptr;
}

const BenchCase* baseline_case(const BenchRun& run, std::string_view workload,
                               std::string_view wanted) {
  const std::string_view customary = workload.starts_with("readers_") ? "pthread.rwlock"
                                     : workload.starts_with("crash_") ? "pthread.mutex_robust"
                                                                      : "pthread.mutex";
  for (const std::string_view name : {wanted, customary}) {
    const BenchCase* found = find_case(run, name, workload);
    if (found != nullptr && measured(*found)) return found;
  }
  for (const BenchCase& one : run.cases) {
    if (one.workload == workload && measured(one)) return &one;
  }
  return nullptr;
}

std::string machine_fingerprint(const BenchRun& run) {
  std::string text;
  for (const auto& [key, value] : run.context) {
    if (key == "cpu" || key == "cores" || key == "kernel") {
      text += (text.empty() ? "" : "; ") + key + " " + value;
    }
  }
  return text.empty() ? "unknown" : text;
}

}  // namespace hobbs
