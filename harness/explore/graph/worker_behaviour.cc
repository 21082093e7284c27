#include "harness/explore/graph/worker_behaviour.h"

#include <string_view>

namespace hobbs::explore::graph {
namespace {

constexpr int kMostRounds = 5'000;  // Of a spin in ever new states: it may end after that.

constexpr std::size_t kUsualImageBytes = 256;
constexpr std::size_t kUsualAnswers = 32;  // On one path.

constexpr const char* kSpinsLong =
    "a worker spins on and on in ever new states: whether it ends is not known";

bool same(const Request& a, const Request& b) {
  return a.ask == b.ask && a.operation == b.operation && a.size == b.size &&
         a.location == b.location && a.queue == b.queue && a.may_time_out == b.may_time_out &&
         a.weak == b.weak && a.own_step == b.own_step && a.order == b.order &&
         a.failure == b.failure && a.operand == b.operand && a.expected == b.expected &&
         a.site.line() == b.site.line() && a.site.column() == b.site.column() &&
         std::string_view(a.site.file_name()) == b.site.file_name();
}

/// The first worker with the same steps.
int twin_of(const Program& program, int w) {
  const auto& workers = program.workers;
  return static_cast<int>(std::ranges::find(workers, workers[static_cast<std::size_t>(w)]) -
                          workers.begin());
}

bool has_twins(const Program& program) {
  for (int w = 0; w < static_cast<int>(program.workers.size()); ++w) {
    if (twin_of(program, w) < w) return true;
  }
  return false;
}

enum class Effect { kNone, kSilent, kSome };

/// What the request does to the world if it is answered so.
Effect effect_of(const Request& request, std::uint64_t value) {
  switch (request.ask) {
    case Ask::kLoad:
    case Ask::kFence:
    case Ask::kChoice: return Effect::kNone;
    case Ask::kUpdate:
    case Ask::kCompare:
      if (!request.writes(value)) return Effect::kNone;
      return request.written(value) == value ? Effect::kSilent : Effect::kSome;
    default: return Effect::kSome;
  }
}

}  // namespace

WorkerBehaviour::WorkerBehaviour(const LockSpec& lock, const Program& program, Topology topology,
                                 bool alike, std::size_t most_image_bytes)
    : worker_(lock, program, topology, alike && has_twins(program)),
      most_image_bytes_(most_image_bytes) {
  paths_.reserve(kUsualNodes);
  image_bytes_.reserve(kUsualNodes * kUsualImageBytes);
  fed_.reserve(kUsualNodes);
  marks_.reserve(kUsualNodes);
  answers_.reserve(kUsualAnswers);
  asked_.reserve(kUsualAnswers);
  for (int w = 0; w < static_cast<int>(program.workers.size()); ++w) {
    if (const int twin = twin_of(program, w); alike && twin < w) {
      add_root(root(twin));
      continue;
    }
    answers_.clear();
    note(w, kNoNode, 0, kNoNode);
    add_root(add({.ask = Ask::kMark}));
  }
}

void WorkerBehaviour::wait_out_pauses() {
  for (int i = 0; i < kMostRounds && worker_.state() == LoneWorker::State::kPauses; ++i) {
    ++pauses_;
    worker_.go_on();
  }
  if (worker_.state() == LoneWorker::State::kPauses) worker_.give_up(kSpinsLong);
}

void WorkerBehaviour::give(std::uint64_t value) {
  asked_.push_back(worker_.request());
  answers_.push_back(value);
  worker_.answer(value);
  wait_out_pauses();
}

/// Begins a worker and leads it down a path.
void WorkerBehaviour::lead(int thread, const std::vector<std::uint64_t>& path, bool spoilt) {
  live_ = kNoNode;
  answers_.clear();
  asked_.clear();
  known_from_ = 0;
  worker_.start(thread, spoilt);
  wait_out_pauses();
  for (const std::uint64_t value : path) {
    if (worker_.state() != LoneWorker::State::kAsks) return;
    give(value);
  }
}

void WorkerBehaviour::find_path_to(Node node, std::vector<std::uint64_t>& path) const {
  path.resize(paths_[node].depth);
  std::size_t at = path.size();
  for (Node n = node; paths_[n].parent != kNoNode; n = paths_[n].parent) {
    for (std::uint32_t f = paths_[n].fed_end; f-- > paths_[n].fed_begin;) path[--at] = fed_[f];
    if (at > 0) path[--at] = paths_[n].value;  // Nothing leads from a root to its child.
  }
}

void WorkerBehaviour::go_to(Node node) {
  if (live_ == node) return;
  const Path& path = paths_[node];
  if (path.stop.has_image) {
    find_path_to(node, answers_);
    asked_.resize(answers_.size());
    known_from_ = answers_.size();
    worker_.restore(path.thread, request(node), path.stop.image, image_bytes_);
  } else {
    std::vector<std::uint64_t> answers;
    find_path_to(node, answers);
    lead(path.thread, answers);
  }
}

WorkerBehaviour::Stop WorkerBehaviour::stop_here() {
  Stop stop;
  stop.has_image =
      image_bytes_.size() < most_image_bytes_ && worker_.take_image(stop.image, image_bytes_);
  if (!stop.has_image) stop.fingerprint = worker_.fingerprint();
  return stop;
}

bool WorkerBehaviour::is_back_at(const Stop& stop) const {
  return stop.has_image ? worker_.is(stop.image, image_bytes_)
                        : stop.fingerprint == worker_.fingerprint();
}

/// Whether the worker, led down that path, asks the same if what others write plainly is wrong.
bool WorkerBehaviour::acts_alike(int thread, const std::vector<std::uint64_t>& path) {
  lead(thread, path);
  std::vector<Request> asked = asked_;
  if (worker_.state() == LoneWorker::State::kAsks) asked.push_back(worker_.request());
  lead(thread, path, true);
  if (worker_.state() == LoneWorker::State::kAsks) asked_.push_back(worker_.request());
  live_ = kNoNode;
  return std::ranges::equal(asked, asked_, same);
}

bool WorkerBehaviour::keeps_apart() {
  if (!worker_.refusal().empty()) return false;
  if (!worker_.keeps_plain_data()) return true;
  if (met_) {
    // What it read of others' data before may tell after, and no path that is led shows that.
    worker_.give_up("its workers turned out to keep plain data when their paths had met");
    return false;
  }
  std::vector<bool> goes_on(paths_.size());
  for (const Path& path : paths_) {
    if (path.parent != kNoNode) goes_on[path.parent] = true;
  }
  bool alike = true;
  std::vector<std::uint64_t> path;
  for (Node leaf = 0; alike && leaf < paths_.size(); ++leaf) {
    if (goes_on[leaf] || paths_[leaf].parent == kNoNode) continue;
    find_path_to(leaf, path);
    alike = acts_alike(paths_[leaf].thread, path);
  }
  if (!alike) worker_.give_up("its workers share plain data");
  return worker_.refusal().empty();
}

void WorkerBehaviour::note(int thread, Node parent, std::uint64_t value, Node look) {
  Path& path = paths_.emplace_back();
  path.thread = thread;
  path.parent = parent;
  path.value = value;
  path.depth = static_cast<std::uint32_t>(answers_.size());
  path.look = look == kNoNode ? static_cast<Node>(size()) : look;
  path.fed_begin = static_cast<std::uint32_t>(fed_.size());
  const bool is_child = parent != kNoNode && worker_.state() != LoneWorker::State::kRefused;
  if (is_child) {
    const std::uint32_t given = request(parent).ask == Ask::kMark ? 0 : 1;
    fed_.insert(fed_.end(), answers_.begin() + paths_[parent].depth + given, answers_.end());
  }
  path.fed_end = static_cast<std::uint32_t>(fed_.size());
  path.marks_begin = static_cast<std::uint32_t>(marks_.size());
  marks_.insert(marks_.end(), worker_.marks().begin(), worker_.marks().end());
  path.marks_end = static_cast<std::uint32_t>(marks_.size());
}

/// A node for where the worker is now.
Node WorkerBehaviour::add_reached(int thread, Node parent, std::uint64_t value, Node look) {
  note(thread, parent, value, look);
  while (locations() < static_cast<int>(worker_.cells().size())) {
    add_location(worker_.cells()[static_cast<std::size_t>(locations())].initial);
  }
  Request request;
  if (worker_.state() == LoneWorker::State::kAsks) {
    request = worker_.request();
    paths_.back().stop = stop_here();
    live_ = static_cast<Node>(size());
  } else if (worker_.state() != LoneWorker::State::kDone) {
    request.ask = Ask::kFail;
  }
  return add(request);
}

Node WorkerBehaviour::add_await(int thread, Node head) {
  live_ = kNoNode;
  worker_.marks().clear();
  note(thread, kNoNode, 0, kNoNode);
  return add({.ask = Ask::kAwait}, head);
}

Node WorkerBehaviour::extend(Node node, std::uint64_t value) {
  const int thread = paths_[node].thread;
  pauses_ = 0;
  go_to(node);
  live_ = kNoNode;
  if (request(node).ask != Ask::kMark) {
    worker_.marks().clear();
    pauses_ = 0;
    give(value);
  }
  const Effect effect = effect_of(request(node), value);
  while (worker_.state() == LoneWorker::State::kAsks) {
    const Request& asked = worker_.request();
    if (asked.ask == Ask::kAwait) return add_await(thread, kNoNode);
    const bool changed = effect == Effect::kSome || !worker_.marks().empty();
    if (asked.ask == Ask::kChoice && asked.weak && failing_is_futile(node, changed)) {
      give(0);
      continue;
    }
    if (changed) break;
    Node head = kNoNode;
    const Spin spun = spin(node, head);
    if (spun == Spin::kForEver) return add_await(thread, head);
    if (spun == Spin::kNone) break;
    pauses_ = 0;
  }
  if (worker_.state() == LoneWorker::State::kAsks && !worker_.marks().empty() &&
      !worker_.keeps_plain_data()) {
    const auto [known, is_new] =
        after_calls_.try_emplace(whereabouts(thread), static_cast<Node>(size()));
    if (!is_new && is_again_at(known->second)) {
      met_ = true;
      return known->second;
    }
  }
  const bool same_look = effect == Effect::kNone && worker_.marks().empty();
  return add_reached(thread, node, value, same_look ? paths_[node].look : kNoNode);
}

/// A hash of who the worker is, all that it is, and what it asks.
std::uint64_t WorkerBehaviour::whereabouts(int thread) const {
  const Request& asked = worker_.request();
  std::uint64_t hash = worker_.fingerprint();
  for (const std::uint64_t word :
       {static_cast<std::uint64_t>(thread), asked.operand, asked.expected}) {
    hash = (hash ^ word) * 0xff51afd7ed558ccdull;
    hash ^= hash >> 32;
  }
  return hash;
}

/// Whether the worker, which is where its hash says that it was at `node`, is there again.
bool WorkerBehaviour::is_again_at(Node node) const {
  const Stop& stop = paths_[node].stop;
  return same(request(node), worker_.request()) &&
         std::ranges::equal(marks(node), worker_.marks()) &&
         (!stop.has_image || worker_.is(stop.image, image_bytes_));
}

/// The worker asks whether its weak compare-exchange fails for no reason: whether it would only
/// come back if it did.
bool WorkerBehaviour::failing_is_futile(Node node, bool changed) {
  const std::vector<std::uint64_t> here = answers_;
  const Request choice = worker_.request();
  const std::size_t images_end = image_bytes_.size();
  const Stop stop = stop_here();
  const std::vector<Mark> marks = worker_.marks();
  const int thread = paths_[node].thread;
  pauses_ = 0;
  give(1);
  if (worker_.state() == LoneWorker::State::kAsks) give(choice.expected);
  bool futile = false;
  if (worker_.state() == LoneWorker::State::kAsks && worker_.marks().size() == marks.size()) {
    const bool paused = pauses_ > 0;
    const auto is_back = [&](const Request& request, const Stop& then) {
      return same(request, worker_.request()) && (paused || is_back_at(then));
    };
    futile = is_back(choice, stop);
    for (Node n = node; !changed && !futile; n = paths_[n].parent) {
      futile = is_back(request(n), paths_[n].stop);
      if (n == paths_[node].look) break;
    }
  }
  if (stop.has_image && worker_.refusal().empty()) {
    worker_.restore(thread, choice, stop.image, image_bytes_);
    answers_ = here;
    asked_.resize(here.size());
  } else {
    lead(thread, here);
  }
  image_bytes_.resize(images_end);
  worker_.marks() = marks;
  pauses_ = 0;
  return futile;
}

/// Whether the worker, which has changed nothing since `node`, is back where it was since its look
/// began: then it spins from `head` on.
WorkerBehaviour::Spin WorkerBehaviour::spin(Node node, Node& head) {
  for (head = node;; head = paths_[head].parent) {
    if (same(request(head), worker_.request())) {
      if (is_back_at(paths_[head].stop)) return Spin::kForEver;
      if (pauses_ > 0) {
        recall(node, head);
        return repeat(paths_[head].depth);
      }
    }
    if (head == paths_[node].look) return Spin::kNone;
  }
}

/// Sees to it that what was asked from `head` on is known, if it is not, as the worker was put at
/// `node`.
void WorkerBehaviour::recall(Node node, Node head) {
  for (Node n = node; known_from_ > paths_[head].depth; n = paths_[n].parent) {
    known_from_ = paths_[n].depth;
    asked_[known_from_] = request(n);
    if (n == head || paths_[n].fed_begin == paths_[n].fed_end) continue;
    const std::vector<std::uint64_t> path = answers_;
    lead(paths_[node].thread, path);
    worker_.marks().clear();
  }
}

/// Answers all that was asked since `from` again and again.
WorkerBehaviour::Spin WorkerBehaviour::repeat(std::size_t from) {
  const std::size_t to = answers_.size();
  std::uint64_t before = 0;
  for (int round = 0; round < kMostRounds; ++round) {
    const std::uint64_t now = worker_.fingerprint();
    if (now == before && same(asked_[from], worker_.request())) return Spin::kForEver;
    before = now;
    for (std::size_t i = from; i < to; ++i) {
      if (worker_.state() != LoneWorker::State::kAsks || !worker_.marks().empty() ||
          !same(asked_[i], worker_.request())) {
        return Spin::kEnded;
      }
      give(answers_[i]);
    }
    if (worker_.state() != LoneWorker::State::kAsks || !worker_.marks().empty()) {
      return Spin::kEnded;
    }
  }
  worker_.give_up(kSpinsLong);
  return Spin::kForEver;
}

}  // namespace hobbs::explore::graph
