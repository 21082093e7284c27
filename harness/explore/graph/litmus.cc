#include "harness/explore/graph/litmus.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "harness/explore/graph/request_steps.h"

namespace hobbs::explore::graph {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  std::fprintf(stderr, "litmus: cannot read '%.*s'\n", static_cast<int>(text.size()), text.data());
  std::abort();
}

std::memory_order order_of(std::string_view text, std::string_view whole) {
  if (text == "rlx") return std::memory_order_relaxed;
  if (text == "acq") return std::memory_order_acquire;
  if (text == "rel") return std::memory_order_release;
  if (text == "ar") return std::memory_order_acq_rel;
  if (text == "sc") return std::memory_order_seq_cst;
  refuse(whole);
}

std::memory_order failure_of(std::memory_order order) {
  if (order == std::memory_order_acq_rel) return std::memory_order_acquire;
  return order == std::memory_order_release ? std::memory_order_relaxed : order;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) refuse(text);
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t to = std::min(text.find(separator, from), text.size());
    parts.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return parts;
}

}  // namespace

Litmus::Litmus(std::string_view text) {
  for (const std::string_view thread : split(text, '|')) {
    threads_.emplace_back();
    for (const std::string_view word : split(thread, ' ')) {
      if (!word.empty()) threads_.back().push_back(parse(word));
    }
  }
  for (std::size_t t = 0; t < threads_.size(); ++t) add_root(start(t, 0));
}

int Litmus::location(char name) {
  const std::size_t at = std::string_view("xyzw").find(name);
  if (at == std::string_view::npos) refuse(std::string(1, name));
  if (variables_[at] < 0) variables_[at] = add_location(0);
  return variables_[at];
}

int Litmus::queue(char name) {
  const std::size_t at = std::string_view("xyzw").find(name);
  if (queues_[at] < 0) queues_[at] = add_location(0);
  return queues_[at];
}

Litmus::Operation Litmus::parse(std::string_view text) {
  Operation operation;
  Request& request = operation.request;
  if (text[0] == '?') {
    operation.is_guard = true;
    request.expected = number(text.substr(1));
    return operation;
  }
  if (text[0] == '!') {
    request.ask = text.back() == '=' ? Ask::kPlainWrite : Ask::kPlainRead;
    request.location = static_cast<std::uint8_t>(location(text[1]));
    return operation;
  }
  if (text.back() == ')') {
    const std::size_t open = text.find('(');
    request.ask = text.starts_with("wake") ? Ask::kWake : Ask::kWait;
    request.may_time_out = text.starts_with("timed");
    request.location = static_cast<std::uint8_t>(location(text[open + 1]));
    request.queue = static_cast<std::uint8_t>(queue(text[open + 1]));
    request.operand = request.expected = number(text.substr(open + 3, text.size() - open - 4));
    return operation;
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) refuse(text);
  request.order = order_of(text.substr(colon + 1), text);
  request.failure = failure_of(request.order);
  if (text[0] == 'F') {
    request.ask = Ask::kFence;
    return operation;
  }
  request.location = static_cast<std::uint8_t>(location(text[0]));
  const std::string_view body = text.substr(1, colon - 1);
  if (body.empty()) {
    request.ask = Ask::kLoad;
  } else if (body.starts_with("==")) {
    request.ask = Ask::kLoad;
    operation.is_await = true;
    request.expected = number(body.substr(2));
  } else if (body[0] == '=') {
    request.ask = Ask::kStore;
    request.operand = number(body.substr(1));
  } else if (body[0] == '+' || body[0] == '<') {
    request.ask = Ask::kUpdate;
    request.operation = body[0] == '+' ? ReadModifyWrite::kAdd : ReadModifyWrite::kExchange;
    request.operand = number(body.substr(body[0] == '+' ? 1 : 2));
  } else if (body[0] == '?') {
    const std::size_t to = body.find('>');
    request.ask = Ask::kCompare;
    request.expected = number(body.substr(1, to - 1));
    request.operand = number(body.substr(to + 1));
  } else {
    refuse(text);
  }
  return operation;
}

Node Litmus::start(std::size_t thread, std::size_t at) {
  const bool done = at >= threads_[thread].size();
  where_.resize(size() + 1);
  where_[size()] = {thread, at};
  return add(done ? Request{} : threads_[thread][at].request);
}

Node Litmus::extend(Node node, std::uint64_t value) {
  const auto [thread, at] = where_[node];
  const std::vector<Operation>& operations = threads_[thread];
  if (operations[at].is_await && value != operations[at].request.expected) {
    where_.resize(size() + 1);
    where_[size()] = {thread, at};
    return add({.ask = Ask::kAwait}, node);
  }
  std::size_t after = at + 1;
  if (after < operations.size() && operations[after].is_guard) {
    after = value == operations[after].request.expected ? after + 1 : operations.size();
  }
  return start(thread, after);
}

std::string outcome_of(const Behaviour& behaviour, const Graph& graph) {
  std::string seen[kMaxThreads];
  for (int t = 0; t < graph.threads(); ++t) {
    for (Index e = graph.last(t); e != kNone; e = graph[e].prior) {
      const Ask ask = behaviour.request(graph[e].node).ask;
      if (!graph[e].is_read() || ask == Ask::kWait || ask == Ask::kWake) continue;
      seen[t] = std::to_string(graph[e].value) + (seen[t].empty() ? "" : " ") + seen[t];
    }
  }
  std::string text;
  for (int t = 0; t < graph.threads(); ++t) text += (t == 0 ? "" : "|") + seen[t];
  text += ";";
  for (int l = 0; l < graph.locations(); ++l) {
    text += " " + std::to_string(graph.value(l, graph.location(l).newest));
  }
  return text;
}

std::string text_of(const Graph& graph) {
  const auto name = [&graph](Index e) {
    return e < 0 ? std::string("i")
                 : std::to_string(graph[e].thread) + "." + std::to_string(graph[e].position);
  };
  std::string text;
  for (int t = 0; t < graph.threads(); ++t) {
    std::string events;
    for (Index e = graph.last(t); e != kNone; e = graph[e].prior) {
      std::string event = std::to_string(static_cast<int>(graph[e].kind)) + "@" +
                          std::to_string(graph[e].node) + "/" + std::to_string(graph[e].step);
      if (graph[e].is_read()) event += "<" + name(graph[e].source);
      if (graph[e].kind == Kind::kChoice) event += "=" + std::to_string(graph[e].value);
      events = event + " " + events;
    }
    text += events + "|";
  }
  for (int l = 0; l < graph.locations(); ++l) {
    for (Index w = graph.location(l).newest; w >= 0; w = graph.older(w)) text += name(w) + " ";
    text += ";";
  }
  return text;
}

}  // namespace hobbs::explore::graph
