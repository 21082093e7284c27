// The library's own locks, one line a lock; the seeds' stand in seed_catalog.cc.
#include <algorithm>
#include <iterator>
#include <utility>

#include "locks/lock.h"
#include "locks/reference/anderson_lock.h"
#include "locks/reference/bakery_lock.h"
#include "locks/reference/big_reader_lock.h"
#include "locks/reference/clh_lock.h"
#include "locks/reference/counting_semaphore.h"
#include "locks/reference/futex_mutex.h"
#include "locks/reference/handoff_mutex.h"
#include "locks/reference/mcs_lock.h"
#include "locks/reference/peterson_lock.h"
#include "locks/reference/phase_fair_lock.h"
#include "locks/reference/reader_preferring_lock.h"
#include "locks/reference/reentrant_mutex.h"
#include "locks/reference/robust_mutex.h"
#include "locks/reference/seq_lock.h"
#include "locks/reference/test_and_set_lock.h"
#include "locks/reference/test_and_test_and_set_lock.h"
#include "locks/reference/ticket_lock.h"
#include "locks/reference/writer_preferring_lock.h"
#include "locks/seed_catalog.h"
#include "locks/spec_of.h"

namespace hobbs {
namespace {

template <template <class> class L>
LockSpec entry(const char* name, const char* summary, const char* source) {
  LockSpec spec = spec_of<L>(name);
  spec.summary = summary;
  spec.source = source;
  return spec;
}

}  // namespace

// clang-format off: one entry a lock, as narrow as its words allow.
Catalog reference_catalog() {
  Catalog catalog = {
      entry<TestAndSetLock>("test_and_set", "Spins on an atomic exchange.",
                            "Agarwal and Cherian 1989"),
      entry<TestAndTestAndSetLock>("test_and_test_and_set", "Spins reading, with bounded back-off.",
                                   "Rudolph and Segall 1984; Anderson 1990"),
      entry<TicketLock>("ticket", "Takes a number and waits until it is served.",
                        "Reed and Kanodia 1979"),
      entry<McsLock>("mcs", "Queue lock; each waiter spins on a word of its own.",
                     "Mellor-Crummey and Scott 1991"),
      entry<ClhLock>("clh", "Queue lock; each waiter spins on its predecessor's node.",
                     "Craig 1993; Landin and Hagersten 1994"),
      entry<AndersonLock>("anderson", "Array lock; each waiter spins on its slot.",
                          "Anderson 1990"),
      entry<PetersonLock>("peterson", "Two workers, plain words and one exchange.",
                          "Peterson 1981"),
      entry<BakeryLock>("bakery", "Loads and stores only; eight workers.", "Lamport 1974"),
      entry<FutexMutex>("futex_mutex", "Three states; sleeps in the kernel; timed.",
                        "Drepper 2011"),
      entry<HandoffMutex>("handoff_mutex",
                          "Spins, yields, then sleeps; hands over first come, first served; timed.",
                          "Scott and Scherer 2001; Linux osq_lock"),
      entry<RobustMutex>("robust_mutex",
                         "Names its owner; a dead owner's lock passes on, and the next one is told; timed.",
                         "pthread_mutexattr_setrobust(3)"),
      entry<ReentrantMutex>("reentrant_mutex", "The holder may acquire again; timed.",
                            "pthread_mutexattr_settype(3)"),
      entry<BinarySemaphore>("binary_semaphore", "One permit; anyone may release; timed.",
                             "Dijkstra 1965"),
      entry<PairSemaphore>("counting_semaphore", "Two permits at first; anyone may release; timed.",
                           "Dijkstra 1965"),
      entry<ReaderPreferringLock>("rw_reader_preferring",
                                  "Readers never wait for a waiting writer; upgrade and downgrade; timed.",
                                  "Courtois, Heymans and Parnas 1971"),
      entry<WriterPreferringLock>("rw_writer_preferring",
                                  "Readers wait for every writer; upgrade and downgrade; timed.",
                                  "Courtois, Heymans and Parnas 1971"),
      entry<PhaseFairLock>("rw_phase_fair", "Reader and writer phases alternate; downgrade; timed.",
                           "Brandenburg and Anderson 2010"),
      entry<BigReaderLock>("rw_big_reader",
                           "Each reader has a word of its own; writers ask them all; downgrade.",
                           "Hsieh and Weihl 1992; Linux 2.4 brlock"),
      entry<SeqLock>("seqlock", "The writer side; readers validate instead of holding.",
                     "Lameter 2005; Boehm 2012"),
  };
  std::ranges::move(seed_catalog(), std::back_inserter(catalog));
  return catalog;
}
// clang-format on

}  // namespace hobbs
