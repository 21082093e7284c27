// Whoever asks for memory under control, or gives it back, is noted: code that does so cannot be
// put back in time, as a block would be freed twice and the next one has another address.
//
// As in file_calls.cc the definitions stand before the C library's. They are weak: a program may
// bring an allocator, which then goes unnoticed (Machine::sees_heap_calls()).
#include <cstddef>

#include "harness/explore/machine.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)

namespace {

void note() {
  if (hobbs::explore::current_machine != nullptr) hobbs::explore::current_machine->note_heap_call();
}

}  // namespace

extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* at, size_t bytes);
void __libc_free(void* at);

[[gnu::weak]] void* malloc(size_t bytes) {
  note();
  return __libc_malloc(bytes);
}
[[gnu::weak]] void* calloc(size_t count, size_t bytes) {
  note();
  return __libc_calloc(count, bytes);
}
[[gnu::weak]] void* realloc(void* at, size_t bytes) {
  note();
  return __libc_realloc(at, bytes);
}
[[gnu::weak]] void free(void* at) {
  note();
  __libc_free(at);
}

}  // extern "C"
#endif
