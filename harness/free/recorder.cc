#include "harness/free/recorder.h"

#include <algorithm>

namespace hobbs::gang {
namespace {

// By how much a deadline may seem later than it was: clocks that run at slightly different rates.
constexpr std::int64_t kDeadlineSlackNs = 1'000;
constexpr std::int64_t kRateSlack = 1'000;  // One in so many.

/// The first round of which nothing was overwritten: at its begin every lock was free.
std::uint32_t first_whole_round(const Arena& arena) {
  std::uint32_t first = 0;
  for (std::uint32_t i = 0; i < arena.workers.load(); ++i) {
    const std::uint32_t at = oldest_record(arena.slots[i]);
    if (at == 0) continue;
    const Record& record = arena.records_of(i)[at % kRecordsKept];
    first = std::max(first, unpack(record.what.load()).round + 1);
  }
  return first;
}

}  // namespace

std::uint32_t oldest_record(const Slot& slot) {
  const std::uint32_t written = slot.written.load();
  return written > kRecordsKept ? written - kRecordsKept : 0;
}

Operation operation_of(const Record& record, std::uint32_t worker, const StampClock& clock,
                       std::uint64_t end) {
  const RecordedCall call = unpack(record.what.load());
  const std::uint64_t invoked = record.invoked.load();
  const std::uint64_t returned = record.returned.load();
  Operation operation;
  operation.worker = worker;
  operation.verb = call.verb;
  operation.mode = call.mode;
  operation.lock = call.lock;
  operation.outcome = call.outcome;
  operation.invoked_ns = clock.to_ns(invoked) - clock.error_ns;
  const std::int64_t returned_ns = clock.to_ns(returned) + clock.error_ns;
  operation.pending = returned_ns < operation.invoked_ns || returned > end;
  if (!operation.pending) operation.returned_ns = returned_ns;
  if (call.verb == Verb::kTimed) {
    const std::int64_t patience_ns = record.patience_ns.load();
    const std::int64_t slack_ns =
        std::max<std::int64_t>(patience_ns, 0) / kRateSlack + kDeadlineSlackNs;
    operation.deadline_ns = clock.to_ns(invoked) + patience_ns - slack_ns;
  }
  return operation;
}

Recorded history_of(const Arena& arena, std::uint64_t end) {
  Recorded recorded;
  const StampClock& clock = arena.clock;
  const std::uint32_t first_round = first_whole_round(arena);
  recorded.complete = first_round == 0;
  recorded.history.clock_error_ns = clock.error_ns;
  for (std::uint32_t i = 0; i < arena.workers.load(); ++i) {
    const Slot& slot = arena.slots[i];
    const Record* const ring = arena.records_of(i);
    for (std::uint32_t at = oldest_record(slot); at < slot.written.load(); ++at) {
      const Record& record = ring[at % kRecordsKept];
      if (unpack(record.what.load()).round < first_round || record.invoked.load() > end) continue;
      recorded.history.operations.push_back(operation_of(record, slot.id.load(), clock, end));
    }
  }
  return recorded;
}

}  // namespace hobbs::gang
