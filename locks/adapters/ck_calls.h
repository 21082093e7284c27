/* Concurrency Kit's locks as tables of calls. Its headers are C that C++ does not accept, so the
   calls are compiled as C (ck_calls.c). `self` is the caller's worker number, 1 to 64. */
#ifndef HOBBS_LOCKS_ADAPTERS_CK_CALLS_H_
#define HOBBS_LOCKS_ADAPTERS_CK_CALLS_H_

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { kHobbsCkWorkers = 64, kHobbsCkBigReaders = 16 };

/* Null: not offered. */
struct hobbs_ck_calls {
  size_t size;
  void (*construct)(void* lock);
  void (*lock)(void* lock, unsigned self);
  bool (*try_lock)(void* lock, unsigned self);
  void (*unlock)(void* lock, unsigned self);
  void (*lock_shared)(void* lock, unsigned self);
  bool (*try_lock_shared)(void* lock, unsigned self);
  void (*unlock_shared)(void* lock, unsigned self);
  void (*downgrade)(void* lock, unsigned self);
};

extern const struct hobbs_ck_calls hobbs_ck_fas, hobbs_ck_cas, hobbs_ck_dec, hobbs_ck_ticket,
    hobbs_ck_mcs, hobbs_ck_clh, hobbs_ck_anderson, hobbs_ck_rwlock, hobbs_ck_pflock,
    hobbs_ck_tflock, hobbs_ck_bytelock, hobbs_ck_brlock;

#ifdef __cplusplus
}
#endif

#endif /* HOBBS_LOCKS_ADAPTERS_CK_CALLS_H_ */
