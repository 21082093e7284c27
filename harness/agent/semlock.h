// multiprocessing's SemLock as its users see it: what all four process locks have in common.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "harness/agent/subject.h"
#include "locks/reference/identity.h"

namespace hobbs::agent {

/// What `_semlock._count()` and `_is_mine()` tell: how often this process acquired less how often
/// it released, and whether the caller acquired last. Bookkeeping of each process for itself, not
/// ownership: it goes below zero where others release.
class SemLockBook {
 public:
  void acquired() {
    here();
    count_.fetch_add(1);
    last_.store(thread_identity());
  }
  void released() {
    here();
    count_.fetch_sub(1);
  }
  int count() {
    here();
    return count_.load();
  }
  bool is_mine() { return count() > 0 && last_.load() == thread_identity(); }

 private:
  /// A forked child starts its own.
  void here() {
    if (process_.exchange(process_identity()) != process_identity()) count_.store(0);
  }

  std::atomic<std::uint64_t> process_{0}, last_{0};
  std::atomic<int> count_{0};
};

/// acquire(block=True, timeout=None), release() and `with`, kept in `book`.
template <class Lock>
void serve_semlock(Subject& subject, std::shared_ptr<Lock> lock,
                   std::shared_ptr<SemLockBook> book = std::make_shared<SemLockBook>()) {
  const auto acquire = [lock, book](bool block, std::optional<Seconds> timeout) -> Json {
    const bool got = lock->acquire(block, timeout);
    if (got) book->acquired();
    return got;
  };
  const auto release = [lock, book] {
    lock->release();
    book->released();
  };
  subject.methods["acquire"] = {{"block", "timeout"}, [acquire](const Arguments& a) {
                                  return acquire(a.c_int("block", 1) != 0,
                                                 a.seconds_or_none("timeout"));
                                }};
  subject.methods["release"] = {{}, [release](const Arguments&) -> Json {
                                  release();
                                  return nullptr;
                                }};
  subject.contexts[""] = {
      {}, [acquire](const Arguments&) { return acquire(true, std::nullopt); }, release};
  subject.methods["_semlock._count"] = {{},
                                        [book](const Arguments&) -> Json { return book->count(); }};
  subject.methods["_semlock._is_mine"] = {
      {}, [book](const Arguments&) -> Json { return book->is_mine(); }};
}

}  // namespace hobbs::agent
