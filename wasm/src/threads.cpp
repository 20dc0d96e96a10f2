// threads.cpp: a thread that waits spins first and sleeps later. Inside a job
// the others are at most one matrix product away, and to wake a sleeper takes
// the browser as long as a whole product: with a short spin two threads decoded
// no faster than one. Between jobs the page needs the core that a spin burns.
#include "threads.h"

namespace slm {
namespace {
// Looks at the word, one to two nanoseconds each.
constexpr uint32_t kBarrierSpins = 1000000, kJobSpins = 20000;
} // namespace

Team &team() {
  static Team instance;
  return instance;
}

void Team::wait_past(std::atomic<uint32_t> &word, uint32_t seen, uint32_t spins) {
  for (uint32_t i = 0; i < spins; i++)
    if (word.load(std::memory_order_acquire) != seen) return;
#if defined(__wasm_atomics__)
  sleepers_.fetch_add(1);
  while (word.load() == seen)
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int *>(&word), int(seen), -1);
  sleepers_.fetch_sub(1);
#else
  while (word.load(std::memory_order_acquire) == seen) {
  }
#endif
}

void Team::wake(std::atomic<uint32_t> &word) {
#if defined(__wasm_atomics__)
  if (sleepers_.load() != 0) __builtin_wasm_memory_atomic_notify(reinterpret_cast<int *>(&word), kMaxThreads);
#else
  (void)word;
#endif
}

void Team::barrier() {
  if (size_ == 1) return;
  const uint32_t seen = generation_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1);
    wake(generation_);
  } else {
    wait_past(generation_, seen, kBarrierSpins);
  }
}

void Team::run(void (*job)(void *, uint32_t), void *arg) {
  job_ = job;
  arg_ = arg;
  if (size_ > 1) {
    epoch_.fetch_add(1);
    wake(epoch_);
  }
  job(arg, 0);
  barrier();
}

void Team::serve(uint32_t thread) {
  // A member starts from epoch 0 whenever it arrives: a first job that was
  // posted before this thread came up must not be missed.
  for (uint32_t seen = 0;; seen++) {
    wait_past(epoch_, seen, kJobSpins);
    if (job_ == nullptr) return;
    job_(arg_, thread);
    barrier();
  }
}

void Team::stop() {
  if (size_ == 1) return;
  job_ = nullptr;
  epoch_.fetch_add(1);
  wake(epoch_);
  size_ = 1;
}

} // namespace slm
