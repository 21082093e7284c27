// An execution graph: events of workers in program order, what each read reads from, and the
// modification order of each location. Pure data; which graphs a memory model allows is model.h's.
//
// Events are indexed in the order in which the search added them; those of one worker so stand in
// program order. A graph grows at its end and is cut back there. Each event carries its causal
// prefixes as clocks, computed once when it is added: they depend on nothing that comes later.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "harness/explore/graph/behaviour.h"
#include "harness/explore/graph/clock.h"

namespace hobbs::explore::graph {

/// Index of an event.
using Index = std::int16_t;
inline constexpr Index kInitial = -1;  // The write that a location starts with.
inline constexpr Index kNone = -2;
inline constexpr int kMaxEvents = 4096;  // In one graph.

enum class Kind : std::uint8_t { kRead, kWrite, kFence, kPlainRead, kPlainWrite, kChoice, kResume };

/// Bits of Event::flags.
enum Flag : std::uint8_t {
  kAcquire = 1,
  kRelease = 2,
  kSeqCst = 4,
  kExclusive = 8,  // Half of a read-modify-write: nothing may come between it and its other half.
  kLocked = 16,    // Drains the store buffer (x86: locked instructions, stores with seq_cst).
};

struct Event {
  Kind kind;
  std::uint8_t flags;
  std::uint8_t thread;
  std::uint8_t location;
  std::uint8_t step;    // Which part of its request this is, from 0.
  Index position;       // In its thread, from 0.
  Index prior;          // The event before it in its thread, or kNone.
  Index source;         // kRead: what it reads from. kResume: the wake. kNone: nothing yet.
  Index reader;         // kWrite: the first of its readers ...
  Index sibling;        // ... and kRead: the next reader of the same write.
  Index older;          // kWrite: its neighbours in modification order;
  Index newer;          // kPlain*: `older` is the access of the location before it.
  Index rank;           // kWrite: place in modification order; the initial write has 0.
  Node node;            // The request that it belongs to ...
  Node next;            // ... and the one after, if this event completes its request, or kNoNode.
  std::uint64_t value;  // Read, written or chosen.
  Clock causes;         // All that it depends on, itself included: (po + rf)*.
  Clock before;         // All that happens before it, itself included.
  Clock released;       // kWrite: what an acquire that reads from it synchronizes with.
  Clock acquirable;     // What an acquire fence after it would synchronize with.
  Clock fenced;         // What the last release fence before it has released.

  bool is(Flag flag) const { return (flags & flag) != 0; }
  bool is_read() const { return kind == Kind::kRead; }
  bool is_write() const { return kind == Kind::kWrite; }
};

class Graph {
 public:
  struct Location {
    Index newest = kInitial;  // The last write in modification order.
    Index reader = kNone;     // The first reader of the initial write.
    Index accessed = kNone;   // The last plain access.
    std::uint64_t initial = 0;
  };

  /// An empty graph of `threads` workers.
  void reset(int threads);
  /// Makes room for locations that appeared since.
  void add_location(std::uint64_t initial) {
    locations_.push_back(
        {.newest = kInitial, .reader = kNone, .accessed = kNone, .initial = initial});
  }

  int size() const { return size_; }
  int threads() const { return threads_; }
  int locations() const { return static_cast<int>(locations_.size()); }
  const Event& operator[](Index event) const { return events_[static_cast<std::size_t>(event)]; }
  const Location& location(int at) const { return locations_[static_cast<std::size_t>(at)]; }
  Index last(int thread) const { return last_[thread]; }
  /// How many seq_cst events it has.
  int seq_cst_events() const { return seq_cst_; }
  /// What the next event of a thread depends on.
  Clock causes_of_next(int thread) const {
    return last_[thread] == kNone ? Clock{} : at(last_[thread]).causes;
  }

  // Walking a location's modification order; kInitial is the oldest.
  Index older(Index write) const { return at(write).older; }
  Index newer(int location, Index write) const;
  Index rank(Index write) const { return write == kInitial ? Index{0} : at(write).rank; }
  Index first_reader(int location, Index write) const {
    return write == kInitial ? this->location(location).reader : at(write).reader;
  }
  std::uint64_t value(int location, Index write) const {
    return write == kInitial ? this->location(location).initial : at(write).value;
  }
  /// The exclusive write that consumed `write` already, if any.
  Index consumer(int location, Index write) const;

  /// Appends an event of `thread`, after all that the thread has done; events may move. A read has
  /// no source yet, and so no clocks, a write no place; everything else is complete.
  Index append(int thread, Kind kind, std::uint8_t flags, int location, Node node, int step);
  /// Lets a read that has no source take its value from `source`, as an operation with `flags`.
  void read_from(Index read, Index source, std::uint8_t flags);
  /// Puts a write right after `predecessor` into modification order.
  void place(Index write, Index predecessor, std::uint64_t value);
  /// Lets a sleeper depend on the wake that ended its sleep.
  void resume(Index event, Index wake);
  void set_value(Index event, std::uint64_t value) { at(event).value = value; }
  void set_next(Index event, Node next) { at(event).next = next; }

  /// Removes the events from `size` on. Reads that stay but read from a removed write are left
  /// without a source.
  void truncate(int size);

  /// Copies into `to` what a revisit of `read` keeps: all events added before it, `read` itself
  /// without a source, and all of `prefix`. Returns the read's index in `to`.
  Index restrict_into(Graph& to, Index read, const Clock& prefix) const;

 private:
  Event& at(Index event) { return events_[static_cast<std::size_t>(event)]; }
  const Event& at(Index event) const { return events_[static_cast<std::size_t>(event)]; }
  Location& location_at(int at) { return locations_[static_cast<std::size_t>(at)]; }
  void make_room(int events) {
    if (room_ < events) grow(events);
  }
  void grow(int events);
  void link_reader(Index read, Index source);
  void unlink_reader(Index read);
  void unlink_write(Index write);
  void remove_last();
  void start_clocks(Event& event) const;

  std::unique_ptr<Event[]> events_;  // Of which the first size_ are there.
  int room_ = 0;
  std::vector<Location> locations_;
  Index last_[kMaxThreads] = {};
  int size_ = 0;
  int threads_ = 0;
  int seq_cst_ = 0;
};

}  // namespace hobbs::explore::graph
