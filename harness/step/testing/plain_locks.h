/* Locks as another project would ship them: C, no header of hobbs, known only by their calls. All
   but the controls have one planted bug. */
#ifndef HOBBS_HARNESS_STEP_TESTING_PLAIN_LOCKS_H_
#define HOBBS_HARNESS_STEP_TESTING_PLAIN_LOCKS_H_

#ifdef __cplusplus
extern "C" {
#endif

struct plain_lock {
  const char* name;
  const char* rule;   /* That a checker must accuse it of; "" for a control. */
  const char* memory; /* Under which it can be found: "sc" or "tso". */
  unsigned workers;   /* At most so many; 0: any number. */
  unsigned permits;   /* Of a semaphore; 0: it is none. */
  void (*lock)(void* at);
  void (*unlock)(void* at);
  int (*try_lock)(void* at);                     /* 1 if acquired; null: not offered. */
  int (*timed_lock)(void* at, long deadline_ns); /* Likewise. */
  void (*lock_shared)(void* at);
  void (*unlock_shared)(void* at);
};

enum { kPlainLocks = 23, kPlainLockBytes = 256 };

/* Zeroed memory of kPlainLockBytes is a free lock. */
extern const struct plain_lock plain_locks[kPlainLocks];

#ifdef __cplusplus
}
#endif

#endif /* HOBBS_HARNESS_STEP_TESTING_PLAIN_LOCKS_H_ */
