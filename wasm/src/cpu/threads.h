// threads.h: the compute threads of one module. Every thread runs the same job
// (SPMD), a sequence of steps; each step is cut into pieces that the threads
// take from a shared counter, and it is over when its pieces are done, not when
// every thread has come. So a thread that the system takes off its core holds
// nobody up: the others go on without it, do again what it left lying, and when
// it is back it finds its steps done and runs through them to where they are.
//
// What makes that safe: a piece computes into memory of its thread's own, and
// only who is first to have it ready takes it to the place that all see (its
// commit). A thread that is late may read what has changed under it meanwhile;
// what it makes of that is thrown away, for its step is over.
//
// The host starts the threads (see slm_threads_start); the core only coordinates
// them. Without the threads feature the team has one member, and nobody waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace slm {

/// A share of [0, n): part `part` of `of`.
struct Range {
  uint32_t begin, end;
};
inline Range share(uint32_t n, uint32_t part, uint32_t of) {
  return {static_cast<uint32_t>(uint64_t(n) * part / of), static_cast<uint32_t>(uint64_t(n) * (part + 1) / of)};
}

/// The two halves of a step's work on one piece, as plain functions of a context.
struct Work {
  void (*compute)(void *context, uint32_t piece); // may run several times, in several threads
  void (*commit)(void *context, uint32_t piece);  // runs once
  void *context;
};

class Team {
public:
  static constexpr uint32_t kMaxThreads = 32;
  static constexpr uint32_t kMaxPieces = 256; // of a step

  uint32_t size() const { return size_; }
  /// Sets the number of members; only while no job runs and none serves.
  void resize(uint32_t n) {
    size_ = n;
    epoch_.store(0); // members start to count there
  }

  /// Runs job(arg, thread, first step) on every member, the caller as thread 0,
  /// and returns when the caller is through. Others may still be on their way
  /// with their own copy of `arg`; what it points to has to stay until settle().
  template <class T> void run(void (*job)(const T &arg, uint32_t thread, uint64_t step), const T &arg) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(Job::arg));
    Job next{reinterpret_cast<void (*)()>(job),
             [](const Job &j, uint32_t thread) {
               T copy;
               std::memcpy(&copy, j.arg, sizeof copy);
               reinterpret_cast<void (*)(const T &, uint32_t, uint64_t)>(j.function)(copy, thread, j.step);
             },
             step(),
             {}};
    std::memcpy(next.arg, &arg, sizeof arg);
    run(next);
  }

  /// Step number `step` as thread `thread`: returns when all of its `n` pieces
  /// are committed, at once if they are already. `macs` says how much work a
  /// piece is, so that nobody takes for lost what only takes its time.
  void pieces(uint64_t step, uint32_t thread, uint32_t n, uint64_t macs, const Work &work);

  /// Waits until no member is inside a job. Before anything that a job may read
  /// is freed, moved or changed, apart from what steps commit.
  void settle();

  /// Serves jobs as member `thread` until stop().
  void serve(uint32_t thread);
  void stop();

private:
  struct Job {
    void (*function)();
    void (*call)(const Job &, uint32_t thread); // null: no more jobs
    uint64_t step;
    alignas(8) uint8_t arg[96]; // as much as the largest takes where pointers have 64 bits
  };
  void run(const Job &job);
  void post(const Job &job);

  uint64_t step() const { return cursor_.load() >> kPieceBits; }
  bool claim(uint64_t step, uint32_t n, uint32_t &piece);
  void finish(uint64_t step, uint32_t n, uint32_t piece, const Work &work);
  /// Where threads sleep until somebody rings.
  struct Bell {
    std::atomic<uint32_t> tick{0}, sleepers{0};
    template <class Ready> void sleep_until(Ready ready);
    void ring();
  };

  static constexpr uint32_t kPieceBits = 16;

  uint32_t size_ = 1;
  // The present step and the next of its pieces that nobody has taken.
  alignas(64) std::atomic<uint64_t> cursor_{uint64_t(1) << kPieceBits};
  alignas(64) std::atomic<uint32_t> done_{0};                    // pieces of the present step
  alignas(64) std::atomic<uint64_t> committed_[kMaxPieces] = {}; // the last step of each piece
  // Even: a job is posted; odd: one is being written.
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<uint32_t> inside_{0}, open_{0}; // members in a job; whether they may enter
  Bell job_bell_, step_bell_;
  Job job_{};
};

/// The module's team.
Team &team();

} // namespace slm
