#include "harness/explore/story.h"

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "harness/explore/file_system.h"
#include "reports/fold_repeats.h"

namespace hobbs::explore {
namespace {

std::string_view order_name(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed: return "relaxed";
    case std::memory_order_consume: return "consume";
    case std::memory_order_acquire: return "acquire";
    case std::memory_order_release: return "release";
    case std::memory_order_acq_rel: return "acq_rel";
    case std::memory_order_seq_cst: return "seq_cst";
  }
  return "?";
}

std::string step_name(const Step& step) {
  Program one;
  one.workers = {{step}};
  return to_text(one);
}

std::string hex(std::uint64_t value) {
  if (value < 10) return std::to_string(value);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (; value != 0; value >>= 4) text.insert(text.begin(), kDigits[value & 15]);
  return "0x" + text;
}

std::string memory_text(const Event& event, const std::string& word) {
  const std::string order = " (" + std::string(order_name(event.order)) + ")";
  switch (event.kind) {
    case Event::Kind::kLoad: {
      std::string text = "reads " + word + " = " + hex(event.after) + order;
      if (event.back != 0) {
        text += ", a stale value: " + hex(event.newest) +
                " is the newest, but nothing that this "
                "worker has synchronised with came after it";
      }
      return text;
    }
    case Event::Kind::kStore:
      return "writes " + word + ": " + hex(event.before) + " -> " + hex(event.after) + order;
    case Event::Kind::kUpdate:
      return "updates " + word + ": " + hex(event.before) + " -> " + hex(event.after) + order;
    case Event::Kind::kFailedUpdate:
      return "compare-exchange of " + word + " fails: it is " + hex(event.before) + order;
    case Event::Kind::kDrain: return "its oldest buffered store reaches memory";
    case Event::Kind::kFutexWait:
      return "futex wait on " + word + " for " + hex(event.after) + "; it is " + hex(event.before);
    case Event::Kind::kFutexWake:
      return "futex wake on " + word + ": wakes " + std::to_string(event.after);
    default: return "";
  }
}

std::string file_call_text(const Event& event) {
  const auto result = static_cast<long>(event.after);
  std::string text = std::string(event.call) + "(): ";
  if (result == FileSystem::kBlocks) return text + "waits";
  if (result >= 0) return text + std::to_string(result);
  return text + "fails: " + std::strerror(static_cast<int>(-result));
}

std::string futex_return_text(const Event& event) {
  const std::string back = "comes back from the futex wait: ";
  switch (static_cast<controlled::WaitResult>(event.after)) {
    case controlled::WaitResult::kWoken: return back + "woken";
    case controlled::WaitResult::kMismatch: return back + "another value";
    case controlled::WaitResult::kTimedOut: return back + "its time is over";
    case controlled::WaitResult::kInterrupted: return back + "interrupted";
  }
  return back + "?";
}

std::string text_of(const Event& event, const Explorer& explorer) {
  const std::string word =
      event.word < 0 ? "memory" : "word+" + std::to_string(explorer.offset_of(event.word));
  switch (event.kind) {
    case Event::Kind::kFence: return "fence (" + std::string(order_name(event.order)) + ")";
    case Event::Kind::kFutexReturn: return futex_return_text(event);
    case Event::Kind::kPause: return "pauses: nothing has changed";
    case Event::Kind::kAsk:
      return "asks whether " + std::to_string(event.before) +
             " is alive: " + (event.after != 0 ? "yes" : "no");
    case Event::Kind::kFileCall: return file_call_text(event);
    case Event::Kind::kCall: return "calls " + step_name(event.step);
    case Event::Kind::kReturn:
      return step_name(event.step) + ": " + std::string(to_string(event.outcome));
    case Event::Kind::kWork: return "works on the guarded data";
    case Event::Kind::kTime: return "time passes to the next deadline";
    case Event::Kind::kSpurious: return "its futex wait ends for no reason";
    case Event::Kind::kDeath: return "dies";
    case Event::Kind::kFork: return "forks worker " + std::to_string(event.after + 1);
    case Event::Kind::kMeet: return "waits for the others inside the section";
    case Event::Kind::kDestroy: return "destroys the lock: it was the last";
    case Event::Kind::kEnd: return "has done all its steps";
    default: return memory_text(event, word);
  }
}

std::string where_of(const Event& event) {
  if (event.line == 0) return "";
  const std::string_view file = event.file;
  const std::size_t slash = file.rfind('/');
  return std::string(slash == std::string_view::npos ? file : file.substr(slash + 1)) + ":" +
         std::to_string(event.line);
}

}  // namespace

std::vector<Moment> story_of(const std::vector<Event>& events, const Explorer& explorer,
                             const Broken& why) {
  std::vector<Moment> story;
  story.reserve(events.size());
  for (const Event& event : events) {
    Moment moment;
    moment.worker = static_cast<std::uint32_t>(event.worker + 1);
    moment.text = text_of(event, explorer);
    moment.where = where_of(event);
    moment.from_ns = moment.to_ns = event.now_ns;
    story.push_back(std::move(moment));
  }
  for (std::uint32_t worker = 1; worker <= kMaxFibres; ++worker) {
    if (why.text.find("orker " + std::to_string(worker)) == std::string::npos) continue;
    for (std::size_t i = story.size(); i-- > 0;) {
      if (story[i].worker != worker || events[i].kind == Event::Kind::kEnd) continue;
      story[i].evidence = true;
      break;
    }
  }
  if (!story.empty()) story.back().evidence = true;
  return fold_repeats(std::move(story));
}

}  // namespace hobbs::explore
