#define _GNU_SOURCE

#include "harness/step/testing/plain_locks.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef uint32_t word;

#define LOAD(at) __atomic_load_n(at, __ATOMIC_ACQUIRE)
#define STORE(at, value) __atomic_store_n(at, value, __ATOMIC_RELEASE)
#define SWAP(at, value) __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST)
#define ADD(at, value) __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST)

static int cas(word* at, word from, word to) {
  return __atomic_compare_exchange_n(at, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static void rest(void) { __builtin_ia32_pause(); }
static long sleep_on(word* at, word expected) {
  return syscall(SYS_futex, at, FUTEX_WAIT, expected, NULL, NULL, 0);
}
static void wake(word* at, int count) { syscall(SYS_futex, at, FUTEX_WAKE, count, NULL, NULL, 0); }

/* The three-state mutex: 0 free, 1 held, 2 held and somebody may sleep. Correct. */
static void mutex_lock(void* lock) {
  word* at = lock;
  if (cas(at, 0, 1)) return;
  while (SWAP(at, 2) != 0) sleep_on(at, 2);
}
static int mutex_try(void* lock) { return cas(lock, 0, 1); }
static void mutex_unlock(void* lock) {
  if (SWAP((word*)lock, 0) == 2) wake(lock, 1);
}
static int mutex_timed(void* lock, long deadline_ns) {
  word* at = lock;
  if (cas(at, 0, 1)) return 1;
  const struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
  while (SWAP(at, 2) != 0) {
    if (syscall(SYS_futex, at, FUTEX_WAIT_BITSET, 2, &until, NULL, FUTEX_BITSET_MATCH_ANY) != 0 &&
        errno == ETIMEDOUT) {
      return 0;
    }
  }
  return 1;
}

/* The test and the set are two steps. */
static void split_lock(void* lock) {
  while (LOAD((word*)lock) != 0) rest();
  STORE((word*)lock, 1);
}
static void word_unlock(void* lock) { STORE((word*)lock, 0); }

/* A ticket drawn without a lock prefix. */
struct tickets {
  word next, serving;
};
static void plain_ticket_lock(void* lock) {
  struct tickets* at = lock;
  word mine = 1;
  __asm__ volatile("xaddl %0, %1" : "+r"(mine), "+m"(at->next) : : "memory");
  while (LOAD(&at->serving) != mine) rest();
}
static void ticket_unlock(void* lock) {
  struct tickets* at = lock;
  STORE(&at->serving, at->serving + 1);
}
static void ticket_lock(void* lock) {
  struct tickets* at = lock;
  const word mine = ADD(&at->next, 1);
  while (LOAD(&at->serving) != mine) rest();
}

/* Dekker's first half without the store-load fence between own flag and the other's. */
struct flags {
  word flag[2], turn, registered;
};
static __thread word my_place;
static word place(struct flags* at) {
  if (my_place == 0) my_place = 1 + ADD(&at->registered, 1) % 2;
  return my_place - 1;
}
static void unfenced_lock(void* lock) {
  struct flags* at = lock;
  const word me = place(at);
  STORE(&at->flag[me], 1);
  STORE(&at->turn, 1 - me);
  while (LOAD(&at->flag[1 - me]) != 0 && LOAD(&at->turn) == 1 - me) rest();
}
static void flags_unlock(void* lock) {
  struct flags* at = lock;
  STORE(&at->flag[place(at)], 0);
}

/* Woken, it takes the lock as if nobody else slept. */
static void forgetful_lock(void* lock) {
  word* at = lock;
  while (!cas(at, 0, 1)) {
    if (LOAD(at) == 2 || cas(at, 1, 2)) sleep_on(at, 2);
  }
}

/* Wakes before the lock is free: the woken looks, and sleeps again. */
static void hasty_unlock(void* lock) {
  word* at = lock;
  if (LOAD(at) == 2) wake(at, 1);
  STORE(at, 0);
}

/* Looks whether somebody sleeps, then frees: who goes to sleep in between is missed. */
static void looking_unlock(void* lock) {
  word* at = lock;
  const word seen = LOAD(at);
  STORE(at, 0);
  if (seen == 2) wake(at, 1);
}

/* Keyed by the address space: others' processes are not woken. */
static void private_lock(void* lock) {
  word* at = lock;
  if (cas(at, 0, 1)) return;
  while (SWAP(at, 2) != 0) {
    syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
  }
}
static void private_unlock(void* lock) {
  if (SWAP((word*)lock, 0) == 2) syscall(SYS_futex, lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Sleepers are counted beside the lock; the release reads the count before its store is visible. */
struct counted {
  word held, sleepers;
};
static void counted_lock(void* lock) {
  struct counted* at = lock;
  while (SWAP(&at->held, 1) != 0) {
    ADD(&at->sleepers, 1);
    sleep_on(&at->held, 1);
    ADD(&at->sleepers, (word)-1);
  }
}
static void counted_unlock(void* lock) {
  struct counted* at = lock;
  STORE(&at->held, 0);
  if (LOAD(&at->sleepers) != 0) wake(&at->held, 1);
}

/* A try that swaps wipes out the mark of those who sleep. */
static int swapping_try(void* lock) { return SWAP((word*)lock, 1) == 0; }

/* Being woken is taken for being given the lock. */
static void trusting_lock(void* lock) {
  word* at = lock;
  if (cas(at, 0, 1)) return;
  if (SWAP(at, 2) == 0) return;
  sleep_on(at, 2);
  STORE(at, 2);
}

/* A spin that gives up marks the lock without looking whether it is still held. */
static void blind_lock(void* lock) {
  word* at = lock;
  for (int i = 0; i < 50; ++i) {
    if (LOAD(at) == 0 && cas(at, 0, 1)) return;
    rest();
  }
  for (;;) {
    STORE(at, 2);
    sleep_on(at, 2);
    if (cas(at, 0, 2)) return;
  }
}

/* The kernel's "the word has changed" is told as a timeout. */
static int impatient_timed(void* lock, long deadline_ns) {
  word* at = lock;
  if (cas(at, 0, 1)) return 1;
  const struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
  while (SWAP(at, 2) != 0) {
    if (syscall(SYS_futex, at, FUTEX_WAIT_BITSET, 2, &until, NULL, FUTEX_BITSET_MATCH_ANY) != 0) {
      return 0;
    }
  }
  return 1;
}

/* A queue whose releaser does not wait for a successor that is linking itself. */
struct node {
  struct node* next;
  word waits;
};
struct queue {
  struct node* tail;
  word registered;
  struct node nodes[8];
};
static struct node* node_of(struct queue* at) {
  if (my_place == 0) my_place = 1 + ADD(&at->registered, 1);
  return &at->nodes[my_place];
}
static void queue_lock(void* lock) {
  struct queue* at = lock;
  struct node* mine = node_of(at);
  mine->next = NULL;
  mine->waits = 1;
  struct node* before = SWAP(&at->tail, mine);
  if (before == NULL) return;
  __atomic_store_n(&before->next, mine, __ATOMIC_RELEASE);
  while (LOAD(&mine->waits) != 0) rest();
}
static void abandoning_unlock(void* lock) {
  struct queue* at = lock;
  struct node* mine = node_of(at);
  struct node* last = mine;
  if (__atomic_compare_exchange_n(&at->tail, &last, NULL, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    return;
  }
  struct node* heir = __atomic_load_n(&mine->next, __ATOMIC_ACQUIRE);
  if (heir != NULL) STORE(&heir->waits, 0);
}
/* Takes it for granted that the successor has linked itself. */
static void trusting_queue_unlock(void* lock) {
  struct queue* at = lock;
  struct node* mine = node_of(at);
  struct node* last = mine;
  if (__atomic_compare_exchange_n(&at->tail, &last, NULL, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    return;
  }
  STORE(&__atomic_load_n(&mine->next, __ATOMIC_ACQUIRE)->waits, 0);
}
static void queue_unlock(void* lock) {
  struct queue* at = lock;
  struct node* mine = node_of(at);
  struct node* last = mine;
  if (__atomic_compare_exchange_n(&at->tail, &last, NULL, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    return;
  }
  struct node* heir;
  while ((heir = __atomic_load_n(&mine->next, __ATOMIC_ACQUIRE)) == NULL) rest();
  STORE(&heir->waits, 0);
}

/* A test and set that, if it has to wait, follows what was never a pointer. */
static void stray_lock(void* lock) {
  word* at = lock;
  while (SWAP(at, 1) != 0) {
    const word* volatile nowhere = (const word*)0x5152535455565758;
    if (*nowhere != 0) rest();
  }
}
static void lost_lock(void* lock) {
  word* at = lock;
  while (SWAP(at, 1) != 0) {
    void (*volatile nowhere)(void) = (void (*)(void))0x616263646000;
    nowhere();
  }
}

/* Readers and a writer: a reader looks for the writer, then counts itself. */
struct sharing {
  word readers, writer;
};
static void late_reader_lock(void* lock) {
  struct sharing* at = lock;
  while (LOAD(&at->writer) != 0) rest();
  ADD(&at->readers, 1);
}
static void reader_unlock(void* lock) { ADD(&((struct sharing*)lock)->readers, (word)-1); }
static void writer_lock(void* lock) {
  struct sharing* at = lock;
  while (!cas(&at->writer, 0, 1)) rest();
  while (LOAD(&at->readers) != 0) rest();
}
static void writer_unlock(void* lock) { STORE(&((struct sharing*)lock)->writer, 0); }

/* A word of readers, or all ones for the writer; readers and writers sleep at gates of their own.
   The stingy release lets one sleeping reader through where all could go. */
static const word kWriter = 0xffffffffu;
struct gated {
  word state, reader_gate, writer_gate;
};
static void open_gate(word* gate, int count) {
  ADD(gate, 1);
  wake(gate, count);
}
static void gated_reader_lock(void* lock) {
  struct gated* at = lock;
  for (;;) {
    const word gate = LOAD(&at->reader_gate), seen = LOAD(&at->state);
    if (seen == kWriter) {
      sleep_on(&at->reader_gate, gate);
    } else if (cas(&at->state, seen, seen + 1)) {
      return;
    }
  }
}
static void gated_reader_unlock(void* lock) {
  struct gated* at = lock;
  if (ADD(&at->state, (word)-1) == 1) open_gate(&at->writer_gate, 1);
}
static void gated_writer_lock(void* lock) {
  struct gated* at = lock;
  for (;;) {
    const word gate = LOAD(&at->writer_gate);
    if (cas(&at->state, 0, kWriter)) return;
    sleep_on(&at->writer_gate, gate);
  }
}
static void stingy_writer_unlock(void* lock) {
  struct gated* at = lock;
  STORE(&at->state, 0);
  open_gate(&at->reader_gate, 1);
  open_gate(&at->writer_gate, 1);
}
static void gated_writer_unlock(void* lock) {
  struct gated* at = lock;
  STORE(&at->state, 0);
  open_gate(&at->reader_gate, 1 << 30);
  open_gate(&at->writer_gate, 1);
}

/* Two permits; a release tells of itself only if it finds none: the second release is not heard. */
static void semaphore_lock(void* lock) {
  word* at = lock; /* Permits that are out. */
  for (;;) {
    const word out = LOAD(at);
    if (out >= 2) {
      sleep_on(at, out);
    } else if (cas(at, out, out + 1)) {
      return;
    }
  }
}
static void quiet_semaphore_unlock(void* lock) {
  if (ADD((word*)lock, (word)-1) == 2) wake(lock, 1);
}

#define PLAIN(title, broken, model, lock_call, unlock_call, ...)                              \
  {                                                                                           \
    .name = title, .rule = broken, .memory = model, .lock = lock_call, .unlock = unlock_call, \
    __VA_ARGS__                                                                               \
  }

const struct plain_lock plain_locks[kPlainLocks] = {
    PLAIN("test then set", "ME-1", "sc", split_lock, word_unlock, ),
    PLAIN("ticket without a lock prefix", "ME-1", "tso", plain_ticket_lock, ticket_unlock, ),
    PLAIN("flags without a fence", "ME-1", "tso", unfenced_lock, flags_unlock, .workers = 2),
    PLAIN("forgets sleepers", "LV-1", "sc", forgetful_lock, mutex_unlock, ),
    PLAIN("wakes before it frees", "LV-1", "sc", mutex_lock, hasty_unlock, ),
    PLAIN("looks before it frees", "LV-1", "sc", mutex_lock, looking_unlock, ),
    PLAIN("private futex", "LV-1", "sc", private_lock, private_unlock, ),
    PLAIN("counts sleepers too early", "LV-1", "tso", counted_lock, counted_unlock, ),
    PLAIN("try wipes out sleepers", "LV-1", "sc", mutex_lock, mutex_unlock,
          .try_lock = swapping_try),
    PLAIN("takes a wake for the lock", "ME-1", "sc", trusting_lock, mutex_unlock, ),
    PLAIN("marks blindly after a spin", "LV-1", "sc", blind_lock, mutex_unlock, ),
    PLAIN("change told as timeout", "TO-1", "sc", mutex_lock, mutex_unlock,
          .timed_lock = impatient_timed),
    PLAIN("abandons a linking heir", "LV-1", "sc", queue_lock, abandoning_unlock, .workers = 6),
    PLAIN("reader counts itself late", "RW-1", "sc", writer_lock, writer_unlock,
          .lock_shared = late_reader_lock, .unlock_shared = reader_unlock),
    PLAIN("writer wakes one", "LV-1", "sc", gated_writer_lock, stingy_writer_unlock,
          .lock_shared = gated_reader_lock, .unlock_shared = gated_reader_unlock),
    PLAIN("semaphore tells of one permit", "LV-1", "sc", semaphore_lock, quiet_semaphore_unlock,
          .permits = 2),
    PLAIN("hands over to nobody", "LV-2", "sc", queue_lock, trusting_queue_unlock, .workers = 6),
    PLAIN("reads what is no address", "LV-2", "sc", stray_lock, word_unlock, ),
    PLAIN("jumps to where no code is", "LV-2", "sc", lost_lock, word_unlock, ),
    PLAIN("control: mutex", "", "", mutex_lock, mutex_unlock, .try_lock = mutex_try,
          .timed_lock = mutex_timed),
    PLAIN("control: ticket", "", "", ticket_lock, ticket_unlock, ),
    PLAIN("control: queue", "", "", queue_lock, queue_unlock, .workers = 6),
    PLAIN("control: readers and writers", "", "", gated_writer_lock, gated_writer_unlock,
          .lock_shared = gated_reader_lock, .unlock_shared = gated_reader_unlock),
};
