#include "scenarios/rules/history/logged_call.h"

#include <algorithm>

namespace hobbs {

LoggedCall to_logged(const Operation& operation, std::uint16_t log) {
  LoggedCall call;
  call.invoked_ns = operation.invoked_ns;
  call.returned_ns = operation.pending ? INT64_MAX : operation.returned_ns;
  if (operation.deadline_ns < operation.invoked_ns) {
    call.patience_ns = 0;
  } else if (operation.deadline_ns != INT64_MAX) {
    call.patience_ns = static_cast<std::int32_t>(
        std::min<std::int64_t>(operation.deadline_ns - operation.invoked_ns, INT32_MAX));
  }
  call.worker = log;
  call.what = static_cast<std::uint8_t>(operation.verb);
  if (operation.mode == Mode::kShared) call.what |= LoggedCall::kSharedBit;
  if (operation.pending) call.what |= LoggedCall::kPendingBit;
  call.outcome = operation.outcome;
  return call;
}

Operation to_operation(const LoggedCall& call, std::uint32_t platform_id, std::uint8_t lock) {
  Operation operation{.worker = platform_id,
                      .verb = call.verb(),
                      .mode = call.mode(),
                      .lock = lock,
                      .outcome = call.outcome,
                      .pending = call.pending(),
                      .invoked_ns = call.invoked_ns,
                      .returned_ns = call.returned_ns};
  if (call.verb() == Verb::kTimed && call.patience_ns != INT32_MAX) {
    operation.deadline_ns = call.invoked_ns + call.patience_ns;
  }
  return operation;
}

}  // namespace hobbs
