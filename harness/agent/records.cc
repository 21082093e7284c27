#include "harness/agent/records.h"

#include <cmath>
#include <map>
#include <memory>
#include <mutex>

namespace hobbs::agent {
namespace {

constexpr std::size_t kTextCharsMax = 40;

struct Records {
  std::mutex mutex;
  std::map<std::string, Json> by_name;
};

Records& records() {
  static Records& all = *new Records;
  return all;
}

/// Begins the record anew, or adds to it; its length after.
void begin(const std::string& name) {
  const std::lock_guard<std::mutex> guard(records().mutex);
  records().by_name[name] = Json::array();
}
std::size_t note(const std::string& name, Json entry) {
  const std::lock_guard<std::mutex> guard(records().mutex);
  Json& record = records().by_name[name];
  record.push_back(std::move(entry));
  return record.size();
}

std::string text_of(const Json& argument) {
  return argument.is_string() ? argument.get<std::string>() : "";
}

}  // namespace

Json recorded(const std::string& name) {
  const std::lock_guard<std::mutex> guard(records().mutex);
  const auto found = records().by_name.find(name);
  return found == records().by_name.end() ? Json::array() : found->second;
}

SleepFunction sleep_function(const Json& argument) {
  if (argument.is_null()) return {};
  const std::string text = text_of(argument);
  if (text.rfind("@rec:", 0) != 0) {
    throw RemoteError{"TypeError", argument.dump() + " object is not callable"};
  }
  const auto most = static_cast<std::size_t>(std::atoi(text.c_str() + 5));
  begin("sleeps");
  return [most](Seconds duration) {
    const double rounded = std::round(duration.count() * 1e6) / 1e6;
    if (note("sleeps", rounded) >= most) throw RemoteError{"InterruptedError", "rec"};
  };
}

Logger logger(const Json& argument) {
  if (argument.is_null()) return {};
  if (text_of(argument) != "@log") {
    throw RemoteError{"TypeError", argument.dump() + " object is no logger"};
  }
  begin("log");
  return [](int level, const std::string& line) {
    const std::string text = line.substr(0, std::min(line.find(" `"), line.find('%')));
    note("log", Json::array({level, text.substr(0, kTextCharsMax)}));
  };
}

}  // namespace hobbs::agent
