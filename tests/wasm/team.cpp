// The team alone, with members held at chosen places of a job. Argument: the
// case. Exits with 0 if the job's results are right and nobody waited for who
// was held; a member that is waited for hangs the program instead. Built with one
// sanitizer for memory that is gone and with one for races.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "cpu/threads.h"

/// A job is copied while the next one may be written, and then looked at no more.
extern "C" const char *__tsan_default_suppressions() { return "race:slm::Team::post"; }

namespace {

using slm::Team;
using slm::Work;

constexpr uint32_t kSteps = 50, kPieces = 7, kHeld = 1; // the member that is held
constexpr uint32_t kBriefJobs = 300000;
enum class Hold { Nowhere, Asleep, Taking, Computing };

struct Held {
  Hold where = Hold::Nowhere;
  uint32_t step = 0;
  std::atomic<bool> here{false}, go{false};
  void wait() {
    here = true;
    while (!go)
      std::this_thread::yield();
  }
};

/// What a late thread reads may be written meanwhile; it is thrown away then.
__attribute__((no_sanitize("thread"))) uint64_t read_late(const uint64_t &cell) { return cell; }

/// Step s adds s + 1 to each of its cells once, from what the step before left.
struct Shared {
  Held held;
  uint64_t cells[kPieces] = {};
  std::atomic<uint32_t> commits[kSteps][kPieces] = {}, computed[kSteps][kPieces] = {};
};
struct Job {
  Shared *shared;
};

void job(const Job &j, uint32_t thread, uint64_t first) {
  Shared &s = *j.shared;
  for (uint32_t step = 0; step < kSteps; step++) {
    const bool held = thread == kHeld && step == s.held.step;
    if (held && s.held.where == Hold::Taking) s.held.wait();
    struct Context {
      Shared &s;
      uint32_t step;
      bool held;
      uint64_t own[kPieces];
    } context{s, step, held, {}};
    const Work work{[](void *at, uint32_t piece) {
                      auto &c = *static_cast<Context *>(at);
                      c.s.computed[c.step][piece]++;
                      c.own[piece] = read_late(c.s.cells[piece]) + c.step + 1;
                      if (c.held && c.s.held.where == Hold::Computing) c.s.held.wait();
                      // Others hold their pieces back until the held one has its own.
                      else if (c.s.held.where == Hold::Computing && c.step == c.s.held.step)
                        while (!c.s.held.here)
                          std::this_thread::yield();
                    },
                    [](void *at, uint32_t piece) {
                      auto &c = *static_cast<Context *>(at);
                      c.s.commits[c.step][piece]++;
                      c.s.cells[piece] = c.own[piece];
                    },
                    &context};
    slm::team().pieces(first + step, thread, kPieces, 1000, work);
  }
}

/// Jobs so short that members mostly come when they are over, and whose memory is gone as soon as
/// the team has settled.
void brief_jobs() {
  struct Brief {
    uint32_t n = 1, sum = 0;
  };
  struct BriefJob {
    Brief *brief;
  };
  for (uint32_t i = 0; i < kBriefJobs; i++) {
    const auto brief = std::make_unique<Brief>();
    slm::team().run<BriefJob>(
        [](const BriefJob &j, uint32_t thread, uint64_t step) {
          const Work work{[](void *, uint32_t) {}, [](void *at, uint32_t) { static_cast<Brief *>(at)->sum++; },
                          j.brief};
          slm::team().pieces(step, thread, j.brief->n, 0, work);
        },
        {brief.get()});
    slm::team().settle();
  }
}

int fault(const char *what, uint32_t step, uint32_t piece, uint64_t found) {
  std::printf("step %u piece %u: %s is %llu\n", step, piece, what, static_cast<unsigned long long>(found));
  return 1;
}

int check(const Shared &s, uint32_t jobs) {
  for (uint32_t piece = 0; piece < kPieces; piece++) {
    if (s.cells[piece] != uint64_t(jobs) * kSteps * (kSteps + 1) / 2) return fault("the sum", 0, piece, s.cells[piece]);
    for (uint32_t step = 0; step < kSteps; step++)
      if (s.commits[step][piece] != jobs) return fault("commits", step, piece, s.commits[step][piece]);
  }
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "";
  const auto is = [&](const char *wanted) { return std::strcmp(name, wanted) == 0; };
  Shared s;
  s.held.step = 20;
  s.held.where = is("asleep")      ? Hold::Asleep
                 : is("taking")    ? Hold::Taking
                 : is("computing") ? Hold::Computing
                                   : Hold::Nowhere;

  Team &team = slm::team();
  constexpr uint32_t kMembers = 4;
  team.resize(kMembers);
  std::vector<std::thread> members;
  for (uint32_t i = 1; i < kMembers; i++)
    members.emplace_back([&, i] {
      if (i == kHeld && s.held.where == Hold::Asleep) s.held.wait();
      team.serve(i);
    });

  if (is("brief")) brief_jobs();
  // Two whole jobs pass while one member is away, then it finds its way to a third.
  const uint32_t many = is("many") ? 2000 : 2;
  for (uint32_t i = 0; i < many; i++)
    team.run(job, Job{&s});
  int failed = check(s, many);
  if (s.held.where == Hold::Computing && failed == 0) {
    uint32_t again = 0;
    for (const auto &n : s.computed[s.held.step])
      again += n;
    if (again <= 2 * kPieces) failed = fault("computations", s.held.step, 0, again); // nobody did it again
  }
  s.held.go = true;
  team.run(job, Job{&s});
  team.settle();
  if (failed == 0) failed = check(s, many + 1);
  team.stop();
  for (std::thread &member : members)
    member.join();
  return failed;
}
