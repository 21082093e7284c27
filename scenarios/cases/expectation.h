// What a step of a conformance case expects of a call, and whether a reply fits.
//
//     true  false  none  <json>      the result
//     !Error|Other: part of message  one of these errors
//     blocks                         no reply: the call waits
//     maybe X                        X at once, or a wait that a later `settle` ends
//     ~                              any reply
//     ... @0.19..0.6                 and the call took that long, in seconds; either end may lack
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hobbs {

struct CallExpectation {
  enum class Kind : std::uint8_t { kJson, kError, kBlocks, kAnything } kind = Kind::kAnything;
  bool maybe = false;               // Waiting is allowed as well.
  std::string json;                 // kJson: the result as JSON text.
  std::vector<std::string> errors;  // kError: names, any of which fits.
  std::string message_part;         // kError: must be in the message; may be empty.
  std::optional<double> least_s;
  std::optional<double> most_s;
};

struct CallExpectationParse {
  CallExpectation expectation;
  std::string error;  // Empty, or one sentence.
};
CallExpectationParse parse_expectation(std::string_view text);

/// What an agent answered.
struct CallReply {
  std::string result_json = "null";  // When there was no error.
  std::string error;                 // Name of the error, or empty.
  std::string message;
  std::int64_t start_ns = 0;  // CLOCK_MONOTONIC, around the call.
  std::int64_t end_ns = 0;
};

/// What came of a call: a reply, or that it waits.
struct CallAnswer {
  bool blocks = false;
  CallReply reply;
};

/// Whether the result or error fits; times are not looked at. kBlocks never fits a reply.
bool fits(const CallExpectation& expectation, const CallReply& reply);
bool fits(const CallExpectation& expectation, const CallAnswer& answer);

/// The reply in the words of the case language: "true", "!ValueError: released too many times".
std::string describe(const CallReply& reply);

}  // namespace hobbs
