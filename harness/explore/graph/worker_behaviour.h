// What the workers of a program do with a lock, found out by leading each of them, alone, down the
// paths that the search meets.
//
// Spinning. A worker that pauses, or comes back to a request in the very state in which it made it
// before, without having changed anything since, spins. If it would spin for ever on the same
// answers, it awaits others. If it gives up spinning after a while (bounded spins, growing delays),
// it is led to the end of its patience at once, on the same answers: what the looks in between saw
// has no effect, so only the last one counts.
//
// Coming back. Where a worker was it is put again from an image of it, a few hundred bytes; led
// there anew, answer by answer, only if images have become too many.
//
// Meeting again. Where a call begins or has ended, most of what happened before is forgotten: a
// worker that is there as it was on another path does the same from there on. So the paths meet,
// and what follows is found out once. Not where workers keep plain data: what a worker read of the
// others' is not real, so that what it then is says too little.
//
// Being alike. Workers with the same steps do the same as long as they do not ask who they are:
// what one does is found out for all of them.
//
// A weak compare-exchange that fails for no reason is a choice, but not where the worker would only
// come back to it.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "harness/explore/graph/behaviour.h"
#include "harness/explore/graph/lone_worker.h"

namespace hobbs::explore::graph {

class WorkerBehaviour final : public Behaviour {
 public:
  /// The program must be fit: see LoneWorker::unfit(). Both must outlive this.
  /// `alike`: takes workers with the same steps for alike; refuses if they are not.
  /// `most_image_bytes`: how much may be kept to come back with; it changes nothing but the time.
  WorkerBehaviour(const LockSpec& lock, const Program& program, Topology topology,
                  bool alike = false, std::size_t most_image_bytes = 32 << 20);

  /// Not empty: the workers did what cannot be searched, and what that was.
  const std::string& refusal() const { return worker_.refusal(); }
  /// Whether it refuses only because workers are not alike.
  bool tells_apart() const { return worker_.tells_itself_apart(); }
  /// Whether plain data in the lock is looked at by nobody but the worker that writes it, as far as
  /// the paths so far tell; else this refuses. A search must ask when it is done.
  bool keeps_apart();
  /// The calls that began or ended between the request before `node` and `node`'s own.
  std::span<const Mark> marks(Node node) const {
    const Path& path = paths_[node];
    return {marks_.data() + path.marks_begin, path.marks_end - path.marks_begin};
  }
  /// Whether some worker was led to a futex wait.
  bool sleeps() const {
    return std::ranges::any_of(worker_.cells(), [](const LoneWorker::Cell& cell) {
      return cell.kind == LoneWorker::Cell::Kind::kQueue;
    });
  }

 protected:
  Node extend(Node node, std::uint64_t value) override;

 private:
  /// What the worker was when it stopped to ask.
  struct Stop {
    bool has_image = false;
    LoneWorker::Image image;
    std::uint64_t fingerprint = 0;  // If there is no image.
  };
  /// How a node is reached.
  struct Path {
    int thread = 0;
    Node parent = kNoNode;
    std::uint64_t value = 0;      // The parent's answer; then, without events ...
    std::uint32_t fed_begin = 0;  // ... these.
    std::uint32_t fed_end = 0;
    std::uint32_t depth = 0;  // All answers on the way.
    Node look = kNoNode;      // The earliest node since which nothing was changed.
    Stop stop;                // The worker when it asks.
    std::uint32_t marks_begin = 0;
    std::uint32_t marks_end = 0;
  };
  enum class Spin { kNone, kForEver, kEnded };

  void lead(int thread, const std::vector<std::uint64_t>& path, bool spoilt = false);
  void find_path_to(Node node, std::vector<std::uint64_t>& path) const;
  void go_to(Node node);
  Stop stop_here();
  bool is_back_at(const Stop& stop) const;
  void recall(Node node, Node head);
  void give(std::uint64_t value);
  void wait_out_pauses();
  bool failing_is_futile(Node node, bool changed);
  Spin spin(Node node, Node& head);
  Spin repeat(std::size_t from);
  std::uint64_t whereabouts(int thread) const;
  bool is_again_at(Node node) const;
  bool acts_alike(int thread, const std::vector<std::uint64_t>& path);
  Node add_reached(int thread, Node parent, std::uint64_t value, Node look);
  Node add_await(int thread, Node head);
  void note(int thread, Node parent, std::uint64_t value, Node look);

  LoneWorker worker_;
  const std::size_t most_image_bytes_;
  std::vector<Path> paths_;                              // By node.
  std::unordered_map<std::uint64_t, Node> after_calls_;  // Nodes that a call leads to.
  bool met_ = false;                                     // Some paths did.
  std::vector<std::uint64_t> fed_;
  std::vector<Mark> marks_;
  std::vector<std::byte> image_bytes_;
  // Where the worker is.
  Node live_ = kNoNode;  // It asks this; kNoNode: somewhere else.
  std::vector<std::uint64_t> answers_;
  std::vector<Request> asked_;  // What each answered, ...
  std::size_t known_from_ = 0;  // ... from this one on.
  int pauses_ = 0;
};

}  // namespace hobbs::explore::graph
