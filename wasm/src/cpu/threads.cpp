// threads.cpp: see threads.h. Who waits spins first and sleeps later: others are
// at most a piece away, and to wake a sleeper takes the browser as long as a
// whole product. Between jobs the page needs the core that a spin burns.
#include "threads.h"

#if !defined(__wasm__)
#include <thread> // for tests
#endif

namespace slm {
namespace {
// Looks at a word, one to two nanoseconds each.
constexpr uint32_t kJobSpins = 20000, kStepSpins = 4000;
// A product does 10 to 30 multiply-accumulates in a nanosecond: that many of
// them to a look are a wait for about twice the piece.
constexpr uint32_t kMacsPerSpin = 24;

template <class Ready> bool spin_until(uint32_t looks, Ready ready) {
  for (uint32_t i = 0; i < looks; i++)
    if (ready()) return true;
  return false;
}
} // namespace

Team &team() {
  static Team instance;
  return instance;
}

template <class Ready> void Team::Bell::sleep_until(Ready ready) {
#if defined(__wasm_atomics__)
  sleepers.fetch_add(1);
  for (;;) {
    const uint32_t seen = tick.load();
    if (ready()) break;
    __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int *>(&tick), int(seen), -1);
  }
  sleepers.fetch_sub(1);
#elif !defined(__wasm__)
  while (!ready())
    std::this_thread::yield();
#else
  (void)ready; // one thread waits for nobody
#endif
}

void Team::Bell::ring() {
#if defined(__wasm_atomics__)
  if (sleepers.load() == 0) return;
  tick.fetch_add(1);
  __builtin_wasm_memory_atomic_notify(reinterpret_cast<int *>(&tick), kMaxThreads);
#endif
}

bool Team::claim(uint64_t step, uint32_t n, uint32_t &piece) {
  uint64_t at = cursor_.load();
  while (at >> kPieceBits == step && (piece = uint32_t(at) & ((1u << kPieceBits) - 1)) < n)
    if (cursor_.compare_exchange_weak(at, at + 1)) return true;
  return false;
}

void Team::finish(uint64_t step, uint32_t n, uint32_t piece, const Work &work) {
  work.compute(work.context, piece);
  uint64_t last = committed_[piece].load();
  if (last >= step || !committed_[piece].compare_exchange_strong(last, step)) return;
  work.commit(work.context, piece);
  if (done_.fetch_add(1) + 1 < n) return;
  done_.store(0);
  cursor_.store((step + 1) << kPieceBits);
  step_bell_.ring();
}

void Team::pieces(uint64_t step, uint32_t thread, uint32_t n, uint64_t macs, const Work &work) {
  if (size_ == 1) {
    for (uint32_t i = 0; i < n; i++) {
      work.compute(work.context, i);
      work.commit(work.context, i);
    }
    return;
  }
  for (uint32_t i; claim(step, n, i);)
    finish(step, n, i, work);
  const auto is_over = [&] { return this->step() > step; };
  const uint64_t patience = macs / kMacsPerSpin;
  if (spin_until(patience < kStepSpins ? kStepSpins : uint32_t(patience), is_over)) return;
  // Somebody has lost its core: its pieces are done again, by each thread from
  // another one on.
  for (uint32_t k = 0; k < n && !is_over(); k++) {
    const uint32_t i = (k + thread * n / size_) % n;
    if (committed_[i].load() < step) finish(step, n, i, work);
  }
  if (!spin_until(kStepSpins, is_over)) step_bell_.sleep_until(is_over); // for commits, which are short
}

void Team::post(const Job &job) {
  epoch_.fetch_add(1);
  open_.store(1); // not before: who has only the last job must see that it is over, or stay outside
  std::atomic_thread_fence(std::memory_order_seq_cst);
  job_ = job;
  epoch_.fetch_add(1);
  job_bell_.ring();
}

void Team::run(const Job &job) {
  if (size_ > 1) post(job);
  job.call(job, 0);
}

void Team::settle() {
  if (size_ == 1) return;
  open_.store(0);
  const auto is_empty = [&] { return inside_.load() == 0; };
  if (!spin_until(kStepSpins, is_empty)) step_bell_.sleep_until(is_empty);
}

void Team::serve(uint32_t thread) {
  // A member starts from epoch 0 whenever it arrives: a first job that was
  // posted before this thread came up must not be missed.
  for (uint32_t seen = 0;;) {
    uint32_t epoch = 0;
    const auto is_posted = [&] { return (epoch = epoch_.load()) != seen && epoch % 2 == 0; };
    if (!spin_until(kJobSpins, is_posted)) job_bell_.sleep_until(is_posted);
    inside_.fetch_add(1);
    const bool open = open_.load() != 0; // before the epoch, or else a later job may have opened
    const Job job = job_;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const bool whole = epoch_.load() == epoch; // else another one came meanwhile
    const bool last = whole && job.call == nullptr;
    if (whole) seen = epoch;
    if (whole && !last && open) job.call(job, thread);
    if (inside_.fetch_sub(1) == 1) step_bell_.ring();
    if (last) return;
  }
}

void Team::stop() {
  if (size_ == 1) return;
  settle();
  post({});
  size_ = 1;
}

} // namespace slm
