// What the workers of a program do, as one lazily built automaton.
//
// A worker is deterministic: what it asks for next depends only on the values that its earlier
// requests returned. So its behaviour is a tree of requests with one edge a returned value, and the
// tree is filled in as the search meets new values. The search works on execution graphs alone and
// never runs a worker again along a path that is known.
//
// A worker that spins comes back to a request in the very state in which it made that request
// before, having changed nothing in between. Such an edge ends in a kAwait node: the worker waits
// there until one of the reads of that iteration is answered otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "harness/explore/graph/clock.h"
#include "harness/explore/machine.h"

namespace hobbs::explore::graph {

/// Index of a node; nodes are never removed.
using Node = std::uint32_t;
inline constexpr Node kNoNode = UINT32_MAX;

enum class Ask : std::uint8_t {
  kLoad,
  kStore,
  kUpdate,   // Read-modify-write.
  kCompare,  // Compare-exchange; the edge's value is what was read.
  kFence,
  kPlainRead,  // Non-atomic accesses: raced, not chosen.
  kPlainWrite,
  kChoice,  // One of `operand` answers, 0 first: the worker's own nondeterminism.
  kWait,    // Futex wait; the edge's value is a WaitResult.
  kWake,    // Futex wake of at most `operand` waiters; the edge's value is how many woke.
  kMark,    // A point of interest without an effect (a call begins or ends); no event.
  kDone,    // The worker has finished.
  kAwait,   // The worker spins without end unless an earlier read changes.
  kFail,    // The worker found something wrong by itself: `operand` says what.
};

/// What a worker asks of memory.
struct Request {
  Ask ask = Ask::kDone;
  ReadModifyWrite operation = ReadModifyWrite::kExchange;  // kUpdate.
  std::uint8_t size = 8;                                   // Bytes of the location.
  std::uint8_t location = 0;
  std::uint8_t queue = 0;     // kWait, kWake: the location that stands for the futex's queue.
  bool may_time_out = false;  // kWait: has a deadline.
  bool own_step = true;       // Whether others may move right before it.
  bool weak = false;          // kChoice: whether a weak compare-exchange fails for no reason.
  std::memory_order order = std::memory_order_seq_cst;
  std::memory_order failure = std::memory_order_seq_cst;  // kCompare: when the values differ.
  std::uint64_t operand = 0;   // Value stored, operand, desired value, count.
  std::uint64_t expected = 0;  // kCompare, kWait.
  Site site = {};

  /// Whether it reads an atomic location before anything else.
  bool reads() const { return ask == Ask::kLoad || ask == Ask::kUpdate || ask == Ask::kCompare; }
  /// The new value if `seen` is read; equal to `seen` if nothing is written.
  std::uint64_t written(std::uint64_t seen) const;
  /// Whether `seen` leads to a write.
  bool writes(std::uint64_t seen) const {
    return ask == Ask::kUpdate || (ask == Ask::kCompare && seen == expected);
  }
};

/// The automaton. Subclasses say what follows an edge that has not been taken yet.
class Behaviour {
 public:
  static constexpr std::size_t kUsualNodes = 128;
  static constexpr std::size_t kUsualLocations = 8;
  virtual ~Behaviour() = default;

  int threads() const { return static_cast<int>(roots_.size()); }
  /// A worker's first request.
  Node first(int thread) {
    Node& root = roots_[static_cast<std::size_t>(thread)];
    return root = settle(root);
  }
  const Request& request(Node node) const { return nodes_[node].request; }
  /// The first node of the spinning iteration that ends in a kAwait node; kNoNode if the worker
  /// does not spin but took a way that cannot be, and must take another.
  Node head(Node await) const { return nodes_[await].parent_or_head; }
  std::size_t size() const { return nodes_.size(); }

  /// The node after `node` was answered with `value`.
  Node next(Node node, std::uint64_t value) {
    for (std::uint32_t edge = nodes_[node].edges; edge != kNoNode; edge = edges_[edge].sibling) {
      if (edges_[edge].value == value) return edges_[edge].target;
    }
    const Node target = extend(node, value);
    edges_.push_back({value, target, nodes_[node].edges});
    nodes_[node].edges = static_cast<std::uint32_t>(edges_.size() - 1);
    return target;
  }

  /// `node`, or what comes after the marks that start there.
  Node settle(Node node) {
    while (nodes_[node].request.ask == Ask::kMark) node = next(node, 0);
    return node;
  }

  /// How many locations there are so far, and the value that each starts with.
  int locations() const { return static_cast<int>(initial_.size()); }
  std::uint64_t initial(int location) const { return initial_[static_cast<std::size_t>(location)]; }

 protected:
  Behaviour() {
    nodes_.reserve(kUsualNodes);
    edges_.reserve(kUsualNodes);
    roots_.reserve(kMaxThreads);
    initial_.reserve(kUsualLocations);
  }

  /// The target of the missing edge (node, value): an old node or a new one.
  virtual Node extend(Node node, std::uint64_t value) = 0;

  Node add(const Request& request, Node parent_or_head = kNoNode) {
    nodes_.push_back({request, kNoNode, parent_or_head});
    return static_cast<Node>(nodes_.size() - 1);
  }
  void add_root(Node node) { roots_.push_back(node); }
  Node root(int thread) const { return roots_[static_cast<std::size_t>(thread)]; }
  int add_location(std::uint64_t initial) {
    initial_.push_back(initial);
    return static_cast<int>(initial_.size() - 1);
  }

 private:
  struct NodeRecord {
    Request request;
    std::uint32_t edges;  // The first of a list in edges_.
    Node parent_or_head;
  };
  struct Edge {
    std::uint64_t value;
    Node target;
    std::uint32_t sibling;
  };
  std::vector<NodeRecord> nodes_;
  std::vector<Edge> edges_;
  std::vector<Node> roots_;
  std::vector<std::uint64_t> initial_;
};

inline std::uint64_t Request::written(std::uint64_t seen) const {
  if (ask == Ask::kUpdate) return apply(operation, seen, operand, size);
  return seen == expected ? operand : seen;
}

}  // namespace hobbs::explore::graph
