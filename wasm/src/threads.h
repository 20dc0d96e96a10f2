// threads.h: the compute threads of one module. Every thread runs the same job
// (SPMD) and meets the others at barriers. The host starts the threads (see
// slm_threads_start); the core only coordinates them. Without the threads
// feature the team has one member and every wait returns at once.
#pragma once

#include <atomic>
#include <cstdint>

namespace slm {

/// A share of [0, n) for thread `thread` of `of`, in whole steps of `step`.
struct Range {
  uint32_t begin, end;
};
inline Range share(uint32_t n, uint32_t thread, uint32_t of, uint32_t step = 1) {
  const uint64_t steps = (uint64_t(n) + step - 1) / step;
  const auto cut = [&](uint64_t i) {
    const uint64_t at = steps * i / of * step;
    return static_cast<uint32_t>(at < n ? at : n);
  };
  return {cut(thread), cut(thread + 1)};
}

class Team {
public:
  static constexpr uint32_t kMaxThreads = 32;

  uint32_t size() const { return size_; }
  /// Sets the number of members; only while no job runs and none serves.
  void resize(uint32_t n) {
    size_ = n;
    epoch_.store(0); // members start to count there
  }

  /// Runs job(arg, thread) on every member, the caller as thread 0.
  void run(void (*job)(void *, uint32_t), void *arg);
  /// Waits until every member has come here.
  void barrier();
  /// Serves jobs as member `thread` until stop().
  void serve(uint32_t thread);
  void stop();

private:
  void wait_past(std::atomic<uint32_t> &word, uint32_t seen, uint32_t spins);
  void wake(std::atomic<uint32_t> &word);

  uint32_t size_ = 1;
  std::atomic<uint32_t> epoch_{0}, arrived_{0}, generation_{0}, sleepers_{0};
  void (*job_)(void *, uint32_t) = nullptr;
  void *arg_ = nullptr;
};

/// The module's team.
Team &team();

} // namespace slm
