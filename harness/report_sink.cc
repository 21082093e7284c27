#include "harness/report_sink.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "harness/exit_code.h"
#include "harness/output.h"
#include "harness/progress.h"

namespace hobbs {
namespace {

void complain(const std::string& sentence) {
  std::fprintf(stderr, "hobbs: %s\n", sentence.c_str());
}

}  // namespace

ReportSink::ReportSink(const Options& options)
    : reporter_(find_reporter(options.format)), output_(options.output) {
  if (reporter_ == nullptr) throw UsageError("there is no format '" + options.format + "'");
  render_.colour =
      output_.empty() ? wants_colour(options.colour, STDOUT_FILENO) : options.colour == "always";
  render_.verbose = options.verbose;
  if (output_.empty()) return;
  if (const std::string error = check_writable(output_); !error.empty()) throw UsageError(error);
}

int ReportSink::write(const Run& run, int exit_code) const {
  const std::string text = reporter_->render(run, render_);
  std::string error;
  if (!output_.empty()) {
    error = write_file(output_, text);
    if (!error.empty()) {
      complain(error + "; the report follows on standard output");
      exit_code = kExitInternal;
    }
  }
  if (output_.empty() || !error.empty()) {
    error = write_stdout(text);
    if (!error.empty()) {
      complain(error);
      exit_code = kExitInternal;
    }
  }
  if (const char* xml = std::getenv("XML_OUTPUT_FILE"); xml != nullptr && *xml != '\0') {
    error = write_file(xml, find_reporter("junit")->render(run, {}));
    if (!error.empty()) {
      complain(error);
      exit_code = kExitInternal;
    }
  }
  return exit_code;
}

}  // namespace hobbs
