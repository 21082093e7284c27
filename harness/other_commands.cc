// list, doctor, report and agent: the commands that run no campaign.
#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "harness/agent/agent.h"
#include "harness/commands.h"
#include "harness/exit_code.h"
#include "harness/listing.h"
#include "harness/machine.h"
#include "harness/output.h"
#include "harness/report_sink.h"
#include "reports/bench_run.h"
#include "reports/json.h"

namespace hobbs {
namespace {

void print(const std::string& text) {
  const std::string error = write_stdout(text);
  if (!error.empty()) throw std::runtime_error(error);
}

}  // namespace

int list_command(const Options& options, const Catalog& catalog, const Drivers& drivers) {
  const Catalog locks = choose_locks(catalog, options.locks, true);
  print(options.list_rules ? list_rules(locks, drivers, options.verbose) : list_locks(locks));
  return kExitPass;
}

int doctor_command(const Options&) {
  std::string out;
  for (const auto& [key, value] : machine_facts()) out += fmt::format("{:<24} {}\n", key, value);
  std::size_t missing = 0;
  for (const Ability& ability : abilities()) {
    out +=
        fmt::format("{:<24} {:<4} {}\n", ability.name, ability.there ? "ok" : "NO", ability.found);
    if (ability.there) continue;
    ++missing;
    out += fmt::format("{:<24}      without it: {}\n", "", ability.without);
  }
  out +=
      missing == 0 ? "nothing is missing\n" : fmt::format("{} missing; the rest works\n", missing);
  print(out);
  return kExitPass;
}

int agent_command(const Options& options, const Catalog& catalog) {
  if (options.arguments.size() != 1) {
    throw UsageError("agent takes one argument: the path of a Unix socket, or fd:N");
  }
  return run_agent(options.arguments.front(), catalog);
}

int report_command(const Options& options) {
  const FileText file = read_file(options.file);
  if (!file.error.empty()) throw UsageError(file.error);
  if (is_bench_json(file.text)) {
    const std::string text = render_bench(options, file.text);
    const std::string error =
        options.output.empty() ? write_stdout(text) : write_file(options.output, text);
    if (!error.empty()) throw std::runtime_error(error);
    return kExitPass;
  }
  const RunParse parsed = parse_run(file.text);
  if (!parsed.error.empty()) throw UsageError(options.file + ": " + parsed.error);
  return ReportSink(options).write(parsed.run, exit_code_of(parsed.run.results));
}

}  // namespace hobbs
