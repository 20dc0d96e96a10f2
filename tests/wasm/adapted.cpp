// The whole core with adapters on teams of native threads, of which one can be
// held at a chosen place. Arguments: the place, the model, then adapters with a
// scale each. Exits with 0 if the logits of every team are those of one thread
// to the last bit; a member that is waited for hangs the program instead.
//
// Places lie in the kernels: copies of an adapter's own, which stop the held
// member before they compute, are put into its matrices.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "adapter.h"
#include "cpu/kernels/matmul.h"
#include "cpu/threads.h"
#include "session.h"

namespace {

using namespace slm;

constexpr uint32_t kHeld = 1; // the member that is held
constexpr uint32_t kContext = 64, kBatch = 12, kPrompt = 20, kTokens = 2;
constexpr uint32_t kBriefly = 1000; // yields

// Absent: the upper half of the members never come. Embedding is in a commit, for which others
// wait, so who is there is held only for a while.
enum class Place { Nowhere, Absent, Asleep, Lowering, Raising, Embedding };
constexpr const char *kPlaces[] = {"nowhere", "absent", "asleep", "lowering", "raising", "embedding"};

void check(bool holds, const char *what) {
  if (holds) return;
  std::printf("%s: %s\n", what, error_text());
  std::exit(1);
}

struct Held {
  Place where = Place::Nowhere;
  std::atomic<bool> armed{false}, here{false}, go{false};
} held;
thread_local bool is_held_member = false;

void pass(Place place) {
  if (place != held.where || !held.armed) return;
  if (is_held_member) held.here = true;
  while (!held.here) // others leave it something to do
    std::this_thread::yield();
  if (!is_held_member) return;
  for (uint32_t i = 0; !held.go && (place != Place::Embedding || i < kBriefly); i++)
    std::this_thread::yield();
}

const MatmulKernel *plain; // of all adapters' matrices
template <Place P>
void multiply(const Matrix &w, const Activations &x, float *y, size_t y_stride, uint32_t begin, uint32_t end,
              uint8_t *scratch) {
  pass(P);
  plain->multiply()(w, x, y, y_stride, begin, end, scratch);
}
void dequantize(const uint8_t *group, uint32_t columns, uint32_t row, float *out) {
  pass(Place::Embedding);
  plain->dequantize(group, columns, row, out);
}
MatmulKernel lowering, raising, embedding;

void instrument(const LowRank *change, const MatmulKernel &a, const MatmulKernel &b) {
  if (change == nullptr) return;
  LowRank &l = const_cast<LowRank &>(*change);
  check(l.a.kernel == plain && l.b.kernel == plain, "an adapter that is not float32");
  l.a.kernel = &a;
  l.b.kernel = &b;
}

std::vector<uint8_t> read(const char *path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Gives `take(tensor, 0, bytes, n)` every tensor of a file.
template <class Take> void feed(const std::vector<uint8_t> &file, Take take) {
  Gguf header;
  check(header.parse(file, file.size()) == SLM_OK, "the header");
  uint32_t i = 0;
  for (const GgufTensor &t : header.tensors())
    check(take(i++, 0, file.data() + t.offset, static_cast<uint32_t>(t.size)) == SLM_OK, "a tensor");
}

using Uses = std::vector<Adaptation::Use>;
using Logits = std::vector<float>;

/// Appends the logits of a prompt in two batches and of some tokens after it.
void evaluate(Session &session, uint32_t n_vocab, const Uses &uses, Logits &out) {
  check(session.use(uses) == SLM_OK, "the adapters");
  session.reuse(nullptr, 0);
  for (uint32_t at = 0; at < kPrompt + kTokens;) {
    const uint32_t n = at < kPrompt ? std::min(kBatch, kPrompt - at) : 1;
    std::vector<int32_t> ids(n);
    for (int32_t &id : ids)
      id = static_cast<int32_t>(at++ * 7919 % n_vocab);
    check(session.eval(ids.data(), n, SLM_EVAL_ALL_LOGITS) == SLM_OK, "a batch");
    out.insert(out.end(), session.logits(), session.logits() + size_t(n) * n_vocab);
  }
}

/// The logits with all adapters, with the first alone, and with all again.
Logits run(const LoadedModel &model, const Uses &uses, uint32_t size, Place place) {
  team().resize(size);
  held.where = place;
  held.armed = held.here = held.go = false;
  const uint32_t present = place == Place::Absent ? (size + 1) / 2 : size;
  std::vector<std::thread> members;
  for (uint32_t i = 1; i < present; i++)
    members.emplace_back([i, place] {
      is_held_member = i == kHeld;
      if (is_held_member && place == Place::Asleep)
        while (!held.go)
          std::this_thread::yield();
      team().serve(i);
    });
  std::unique_ptr<Session> session;
  check(Session::create(model, kContext, kBatch, session) == SLM_OK, "a session");
  const uint32_t n_vocab = model.tokenizer()->n_vocab();
  Logits logits;
  held.armed = size > 1;
  evaluate(*session, n_vocab, uses, logits);
  held.go = true; // a change of adapters waits for who is in a job
  if (held.armed && place > Place::Asleep) check(held.here, "nobody came to where one is held");
  held.armed = false;
  for (const Uses &other : {Uses{uses[0]}, uses})
    evaluate(*session, n_vocab, other, logits);
  team().settle();
  session.reset();
  team().stop();
  for (std::thread &member : members)
    member.join();
  return logits;
}

} // namespace

int main(int argc, char **argv) {
  check(argc >= 5, "expected: PLACE MODEL ADAPTER SCALE...");
  uint32_t place = 0;
  while (std::strcmp(kPlaces[place], argv[1]) != 0)
    check(++place < std::size(kPlaces), "an unknown place");

  const std::vector<uint8_t> file = read(argv[2]);
  LoadedModel model;
  uint32_t missing = 0;
  check(model.header(file, file.size(), missing) == SLM_OK && model.layout() == SLM_OK, "the model");
  feed(file, [&](auto... piece) { return model.feed(piece...); });
  check(model.ready() == SLM_OK, "the model");

  plain = matmul_kernel(TensorType::F32);
  lowering = raising = embedding = *plain;
  for (auto *&form : lowering.forms)
    form = multiply<Place::Lowering>;
  for (auto *&form : raising.forms)
    form = multiply<Place::Raising>;
  embedding.dequantize = dequantize;

  Uses uses;
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::vector<uint8_t> bytes = read(argv[i]);
    auto adapter = std::make_shared<Adapter>(model);
    check(adapter->header(bytes, bytes.size()) == SLM_OK, "an adapter");
    feed(bytes, [&](auto... piece) { return adapter->feed(piece...); });
    check(adapter->ready() == SLM_OK, "an adapter");
    for (uint32_t slot = 0; slot < model.slots().size(); slot++)
      instrument(adapter->find(slot), lowering, raising);
    instrument(adapter->find_embedding(), embedding, *plain);
    uses.push_back({adapter, std::strtof(argv[i + 1], nullptr)});
  }

  const Logits alone = run(model, uses, 1, Place::Nowhere);
  const size_t each = alone.size() / 3;
  check(std::memcmp(&alone[0], &alone[each], each * sizeof(float)) != 0, "all are as one");
  check(std::memcmp(&alone[0], &alone[2 * each], each * sizeof(float)) == 0, "they do not come back as they were");
  for (uint32_t size : {2u, 3u, 4u, 8u}) {
    const Logits found = run(model, uses, size, static_cast<Place>(place));
    if (std::memcmp(found.data(), alone.data(), alone.size() * sizeof(float)) == 0) continue;
    size_t at = 0;
    while (found[at] == alone[at])
      at++;
    std::printf("%u threads: logit %zu is %a, not %a\n", size, at, double(found[at]), double(alone[at]));
    return 1;
  }
  return 0;
}
