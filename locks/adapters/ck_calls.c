#include "locks/adapters/ck_calls.h"

#include <ck_brlock.h>
#include <ck_bytelock.h>
#include <ck_pflock.h>
#include <ck_rwlock.h>
#include <ck_spinlock.h>
#include <ck_tflock.h>

/* The calls of a lock that needs nothing of its caller. */
#define PLAIN(name, type, prefix)                                                                \
  static void name##_construct(void* lock) { prefix##_init((type*)lock); }                       \
  static void name##_lock(void* lock, unsigned self) { (void)self, prefix##_lock((type*)lock); } \
  static void name##_unlock(void* lock, unsigned self) { (void)self, prefix##_unlock((type*)lock); }
#define PLAIN_TRY(name, type, prefix)                 \
  static bool name##_try(void* lock, unsigned self) { \
    (void)self;                                       \
    return prefix##_trylock((type*)lock);             \
  }
#define TABLE(name, type)                                                       \
  const struct hobbs_ck_calls hobbs_ck_##name = {.size = sizeof(type),          \
                                                 .construct = name##_construct, \
                                                 .lock = name##_lock,           \
                                                 .unlock = name##_unlock,       \
                                                 .try_lock = name##_try}

PLAIN(fas, ck_spinlock_fas_t, ck_spinlock_fas)
PLAIN_TRY(fas, ck_spinlock_fas_t, ck_spinlock_fas)
TABLE(fas, ck_spinlock_fas_t);

PLAIN(cas, ck_spinlock_cas_t, ck_spinlock_cas)
PLAIN_TRY(cas, ck_spinlock_cas_t, ck_spinlock_cas)
TABLE(cas, ck_spinlock_cas_t);

PLAIN(dec, ck_spinlock_dec_t, ck_spinlock_dec)
PLAIN_TRY(dec, ck_spinlock_dec_t, ck_spinlock_dec)
TABLE(dec, ck_spinlock_dec_t);

PLAIN(ticket, ck_spinlock_ticket_t, ck_spinlock_ticket)
#ifdef CK_F_SPINLOCK_TICKET_TRYLOCK
PLAIN_TRY(ticket, ck_spinlock_ticket_t, ck_spinlock_ticket)
#else
#define ticket_try NULL
#endif
TABLE(ticket, ck_spinlock_ticket_t);

/* Queue locks: the nodes of all workers stand beside the lock. */

struct mcs {
  ck_spinlock_mcs_t queue;
  ck_spinlock_mcs_context_t nodes[kHobbsCkWorkers + 1];
};
static void mcs_construct(void* at) { ck_spinlock_mcs_init(&((struct mcs*)at)->queue); }
static void mcs_lock(void* at, unsigned self) {
  struct mcs* lock = at;
  ck_spinlock_mcs_lock(&lock->queue, &lock->nodes[self]);
}
static bool mcs_try(void* at, unsigned self) {
  struct mcs* lock = at;
  return ck_spinlock_mcs_trylock(&lock->queue, &lock->nodes[self]);
}
static void mcs_unlock(void* at, unsigned self) {
  struct mcs* lock = at;
  ck_spinlock_mcs_unlock(&lock->queue, &lock->nodes[self]);
}
TABLE(mcs, struct mcs);

struct clh {
  ck_spinlock_clh_t* queue;
  ck_spinlock_clh_t* mine[kHobbsCkWorkers + 1]; /* Nodes change hands. */
  ck_spinlock_clh_t nodes[kHobbsCkWorkers + 1]; /* Node 0 is the first to be queued. */
};
static void clh_construct(void* at) {
  struct clh* lock = at;
  ck_spinlock_clh_init(&lock->queue, &lock->nodes[0]);
  for (unsigned i = 1; i <= kHobbsCkWorkers; ++i) lock->mine[i] = &lock->nodes[i];
}
static void clh_lock(void* at, unsigned self) {
  struct clh* lock = at;
  ck_spinlock_clh_lock(&lock->queue, lock->mine[self]);
}
static void clh_unlock(void* at, unsigned self) {
  ck_spinlock_clh_unlock(&((struct clh*)at)->mine[self]);
}
#define clh_try NULL
TABLE(clh, struct clh);

struct anderson {
  ck_spinlock_anderson_t lock;
  ck_spinlock_anderson_thread_t slots[kHobbsCkWorkers]; /* A power of two, as it likes best. */
  ck_spinlock_anderson_thread_t* held[kHobbsCkWorkers + 1];
};
static void anderson_construct(void* at) {
  struct anderson* lock = at;
  ck_spinlock_anderson_init(&lock->lock, lock->slots, kHobbsCkWorkers);
}
static void anderson_lock(void* at, unsigned self) {
  struct anderson* lock = at;
  ck_spinlock_anderson_lock(&lock->lock, &lock->held[self]);
}
static void anderson_unlock(void* at, unsigned self) {
  struct anderson* lock = at;
  ck_spinlock_anderson_unlock(&lock->lock, lock->held[self]);
}
#define anderson_try NULL
TABLE(anderson, struct anderson);

/* Readers-writer locks. */

#define PLAIN_RW(name, type, prefix)                                       \
  static void name##_construct(void* lock) { prefix##_init((type*)lock); } \
  static void name##_lock(void* lock, unsigned self) {                     \
    (void)self, prefix##_write_lock((type*)lock);                          \
  }                                                                        \
  static void name##_unlock(void* lock, unsigned self) {                   \
    (void)self, prefix##_write_unlock((type*)lock);                        \
  }                                                                        \
  static void name##_lock_shared(void* lock, unsigned self) {              \
    (void)self, prefix##_read_lock((type*)lock);                           \
  }                                                                        \
  static void name##_unlock_shared(void* lock, unsigned self) {            \
    (void)self, prefix##_read_unlock((type*)lock);                         \
  }
#define RW_TABLE(name, type, ...)                                                       \
  const struct hobbs_ck_calls hobbs_ck_##name = {.size = sizeof(type),                  \
                                                 .construct = name##_construct,         \
                                                 .lock = name##_lock,                   \
                                                 .unlock = name##_unlock,               \
                                                 .lock_shared = name##_lock_shared,     \
                                                 .unlock_shared = name##_unlock_shared, \
                                                 __VA_ARGS__}

PLAIN_RW(rwlock, ck_rwlock_t, ck_rwlock)
static bool rwlock_try(void* lock, unsigned self) {
  (void)self;
  return ck_rwlock_write_trylock((ck_rwlock_t*)lock);
}
static bool rwlock_try_shared(void* lock, unsigned self) {
  (void)self;
  return ck_rwlock_read_trylock((ck_rwlock_t*)lock);
}
static void rwlock_downgrade(void* lock, unsigned self) {
  (void)self, ck_rwlock_write_downgrade((ck_rwlock_t*)lock);
}
RW_TABLE(rwlock, ck_rwlock_t, .try_lock = rwlock_try, .try_lock_shared = rwlock_try_shared,
         .downgrade = rwlock_downgrade);

PLAIN_RW(pflock, ck_pflock_t, ck_pflock)
RW_TABLE(pflock, ck_pflock_t, );

PLAIN_RW(tflock, ck_tflock_ticket_t, ck_tflock_ticket)
RW_TABLE(tflock, ck_tflock_ticket_t, );

static void bytelock_construct(void* at) { ck_bytelock_init((ck_bytelock_t*)at); }
static void bytelock_lock(void* at, unsigned self) {
  ck_bytelock_write_lock((ck_bytelock_t*)at, self);
}
static void bytelock_unlock(void* at, unsigned self) {
  (void)self, ck_bytelock_write_unlock((ck_bytelock_t*)at);
}
static void bytelock_lock_shared(void* at, unsigned self) {
  ck_bytelock_read_lock((ck_bytelock_t*)at, self);
}
static void bytelock_unlock_shared(void* at, unsigned self) {
  ck_bytelock_read_unlock((ck_bytelock_t*)at, self);
}
/* A holder's read_lock is its downgrade. */
RW_TABLE(bytelock, ck_bytelock_t, .downgrade = bytelock_lock_shared);

/* A writer looks at each registered reader, so all are registered from the first, and few. */
struct brlock {
  ck_brlock_t lock;
  ck_brlock_reader_t readers[kHobbsCkBigReaders + 1];
};
static void brlock_construct(void* at) {
  struct brlock* lock = at;
  ck_brlock_init(&lock->lock);
  for (unsigned i = 1; i <= kHobbsCkBigReaders; ++i) {
    ck_brlock_read_register(&lock->lock, &lock->readers[i]);
  }
}
static void brlock_lock(void* at, unsigned self) {
  (void)self, ck_brlock_write_lock(&((struct brlock*)at)->lock);
}
static bool brlock_try(void* at, unsigned self) {
  (void)self;
  return ck_brlock_write_trylock(&((struct brlock*)at)->lock, 1);
}
static void brlock_unlock(void* at, unsigned self) {
  (void)self, ck_brlock_write_unlock(&((struct brlock*)at)->lock);
}
static void brlock_lock_shared(void* at, unsigned self) {
  struct brlock* lock = at;
  ck_brlock_read_lock(&lock->lock, &lock->readers[self]);
}
static bool brlock_try_shared(void* at, unsigned self) {
  struct brlock* lock = at;
  return ck_brlock_read_trylock(&lock->lock, &lock->readers[self], 1);
}
static void brlock_unlock_shared(void* at, unsigned self) {
  ck_brlock_read_unlock(&((struct brlock*)at)->readers[self]);
}
RW_TABLE(brlock, struct brlock, .try_lock = brlock_try, .try_lock_shared = brlock_try_shared);
