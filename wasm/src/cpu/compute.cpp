// compute.cpp: a session's memory and evaluations on the CPU; see ../compute.h.
#include "../compute.h"

#include <algorithm>
#include <cstring>

#include "../backend.h"
#include "arena.h"
#include "ops.h"

namespace slm {
namespace {

struct Shapes {
  std::vector<KvLayer> cache;
  std::vector<RecurrentLayer> recurrent;
  Workspace workspace;
  uint64_t cache_bytes = 0, recurrent_bytes = 0, activation_bytes = 0, scratch_bytes = 0;
};

Status plan(const LoadedModel &model, uint32_t n_ctx, uint32_t &n_batch, bool exact, Shapes &out) {
  SLM_TRY(check_shape(model, n_ctx, n_batch));
  out.cache = cache_shapes(model, n_ctx, n_batch, exact);
  for (const KvLayer &layer : out.cache)
    out.cache_bytes += 2 * layer.bytes_each();
  out.recurrent = recurrent_shapes(model);
  out.recurrent_bytes = (1 + Compute::kCopies) * recurrent_floats(out.recurrent) * sizeof(float);
  const ModelShape &m = model.family().shape();
  Workspace &w = out.workspace;
  w.n_batch = n_batch;
  w.n_ctx = n_ctx;
  w.n_embd = m.n_embd;
  w.n_wide = m.n_wide;
  w.max_columns = std::max({m.n_embd, m.n_ff, m.n_head * m.head_dim, m.n_recurrent});
  // A family's own matrices may have widths of their own, whatever a file says; but those up to n_wide read one row.
  const auto make_room = [&](const Matrix *matrix) {
    if (matrix != nullptr && matrix->columns > m.n_wide) w.max_columns = std::max(w.max_columns, matrix->columns);
  };
  for (const TensorSlot &s : model.slots()) {
    make_room(s.matrix);
    for (const Matrix *part : s.parts)
      make_room(part);
  }
  w.max_head_dim = m.head_dim;
  w.n_head = m.n_head;
  w.max_rope_dims = m.rope_dims;
  w.threads = team().size();
  // A window may begin and end inside a segment.
  const uint32_t n = positions(model, n_ctx);
  w.n_segments = std::min((n + kSegment - 1) / kSegment, most_seen(model, out.cache, n) / kSegment + 2);
  w.exact = exact;
  out.scratch_bytes = w.lay_out(nullptr);
  BlockArena counting(nullptr, n_batch);
  (void)model.family().new_state(counting);
  out.activation_bytes = counting.used();
  return SLM_OK;
}

class CpuCompute final : public Compute {
public:
  explicit CpuCompute(const LoadedModel &model) : model_(model) {}

  Status allocate_all(Shapes &&shapes) {
    // Zeroed: attention multiplies slots that hold nothing yet by zero.
    SLM_TRY(allocate_zeroed(cache_, shapes.cache_bytes, "the context's keys and values"));
    SLM_TRY(allocate_zeroed(recurrent_, shapes.recurrent_bytes, "the recurrent layers' states"));
    SLM_TRY(allocate(activations_, shapes.activation_bytes, "activations"));
    SLM_TRY(allocate(scratch_, shapes.scratch_bytes, "scratch memory"));
    workspace_ = shapes.workspace;
    workspace_.lay_out(scratch_.get());
    BlockArena arena(activations_.get(), workspace_.n_batch);
    state_ = model_.family().new_state(arena);
    uint8_t *at = cache_.get();
    for (KvLayer &layer : shapes.cache) {
      layer.keys = at;
      layer.values = at + layer.bytes_each();
      at += 2 * layer.bytes_each();
    }
    state_->cache = std::move(shapes.cache);
    for (RecurrentLayer &layer : shapes.recurrent)
      layer.memory = reinterpret_cast<float *>(recurrent_.get());
    state_->recurrent = std::move(shapes.recurrent);
    return SLM_OK;
  }

  std::span<const KvLayer> cache() const override { return state_->cache; }
  const float *logits() const override { return reinterpret_cast<const float *>(logits_.get()); }
  void keep(uint32_t copy) override { copy_recurrent(1 + copy, 0); }
  void restore(uint32_t copy) override { copy_recurrent(0, 1 + copy); }

  Status reserve(const Adaptation &adaptation) override {
    settle();
    uint64_t ranks = 0; // all of them for each product of a call
    for (const Adaptation::Use &use : adaptation.uses)
      ranks += use.adapter->max_rank();
    Block room;
    SLM_TRY(
        allocate(room, ranks * workspace_.n_batch * Ops::kMaxProducts * sizeof(float), "the adapters' activations"));
    lowered_ = std::move(room);
    workspace_.lowered = reinterpret_cast<float *>(lowered_.get());
    return SLM_OK;
  }

  Status look(const Looking &looking) override {
    settle();
    const uint32_t n_embd = model_.family().shape().n_embd;
    Probe probe;
    uint64_t floats = 0; // of all that comes into the block
    for (const Looking::Place &place : looking.taps) {
      const uint32_t width = tap_width(model_, place);
      probe.taps.push_back({place, {nullptr, width}});
      floats += uint64_t(workspace_.n_batch) * width;
    }
    floats += looking.steering.size() * n_embd;
    Block room;
    SLM_TRY(allocate(room, floats * sizeof(float), "what is looked at"));
    float *at = reinterpret_cast<float *>(room.get());
    for (Probe::Tap &tap : probe.taps) {
      tap.rows.data = at;
      at += size_t(workspace_.n_batch) * tap.rows.width;
    }
    for (const Looking::Steering &s : looking.steering) {
      std::memcpy(at, s.direction.data(), n_embd * sizeof(float));
      probe.steering.push_back({s.layer, at});
      at += n_embd;
    }
    probe_ = std::move(probe);
    looked_at_ = std::move(room);
    workspace_.probe = probe_.empty() ? nullptr : &probe_;
    return SLM_OK;
  }

  Rows tapped(uint32_t tap) const override { return probe_.taps[tap].rows; }

  Status lens(const float *rows, uint32_t n, const Adaptation &adaptation) override {
    SLM_TRY(give(rows, uint64_t(n) * model_.family().shape().n_embd));
    return run({nullptr, n, 0}, adaptation, n, [](const Job &j, CpuOps &op) {
      const Family &family = j.self->model_.family();
      family.head(op, *j.self->state_, {reinterpret_cast<float *>(j.self->given_.get()), family.shape().n_embd},
                  j.output);
    });
  }

  Status encode(const Sae &sae, const float *rows, uint32_t n) override {
    SLM_TRY(give(rows, uint64_t(n) * sae.width()));
    const uint64_t floats = uint64_t(n) * sae.n_features() + 4;
    if (floats > encoded_floats_ || &sae != sae_) {
      encoded_floats_ = 0;
      settle(); // whoever is late looks at the one before
      SLM_TRY(allocate(encoded_, floats * sizeof(float), "features"));
      encoded_floats_ = floats;
      sae_ = &sae;
    }
    const bool exact = workspace_.exact;
    settle(); // nobody changes arithmetic on the way
    workspace_.exact = true;
    const Status status = run({nullptr, n, 0}, {}, 0, [](const Job &j, CpuOps &op) {
      const Sae &s = *j.self->sae_;
      op.matmul({{reinterpret_cast<float *>(j.self->given_.get()), s.width()}},
                {{s.encoder(), {reinterpret_cast<float *>(j.self->encoded_.get()), s.n_features()}}});
    });
    settle();
    workspace_.exact = exact;
    return status;
  }
  const float *encoded() const override { return reinterpret_cast<const float *>(encoded_.get()); }

  Status eval(const Batch &given, const Adaptation &adaptation, uint32_t n_logits, bool) override {
    Batch batch = given;
    if (!given.pictures.empty() || !given.blocks.empty()) {
      settle(); // threads that are late may read those of before
      pictures_.assign(given.pictures.begin(), given.pictures.end());
      blocks_.assign(given.blocks.begin(), given.blocks.end());
      batch.pictures = pictures_, batch.blocks = blocks_;
    }
    return run(batch, adaptation, n_logits,
               [](const Job &j, CpuOps &op) { j.self->model_.family().forward(op, *j.self->state_, j.output); });
  }

  Status read(const Batch &batch, const Adaptation &adaptation) override {
    return run(batch, adaptation, 0,
               [](const Job &j, CpuOps &op) { j.self->model_.family().read(op, *j.self->state_); });
  }

private:
  struct Job {
    CpuCompute *self;
    Batch batch;
    Output output;
    void (*call)(const Job &job, CpuOps &op);
  };

  /// Copies rows that are the caller's: threads that are late may read them when the caller is gone.
  Status give(const float *rows, uint64_t floats) {
    if (floats > given_floats_) {
      given_floats_ = 0;
      settle();
      SLM_TRY(allocate(given_, floats * sizeof(float), "rows that are given"));
      given_floats_ = floats;
    }
    std::memcpy(given_.get(), rows, size_t(floats) * sizeof(float));
    return SLM_OK;
  }

  /// Calls `call` in every thread of the team.
  Status run(const Batch &batch, const Adaptation &adaptation, uint32_t n_logits,
             void (*call)(const Job &job, CpuOps &op)) {
    if (workspace_.threads < team().size())
      return fail(SLM_ERR_WRONG_STATE, "threads were added after the session was made; make a new session");
    if (n_logits > logits_rows_) {
      logits_rows_ = 0;
      settle();
      SLM_TRY(allocate(logits_, (uint64_t(n_logits) * model_.family().shape().n_out() + 4) * sizeof(float), "logits"));
      logits_rows_ = n_logits;
    }
    workspace_.collecting = model_.collects();
    workspace_.adapted = adaptation.uses.empty() ? nullptr : &adaptation;
    team().run<Job>(
        [](const Job &j, uint32_t thread, uint64_t step) {
          CpuOps op(team(), thread, step, j.batch, j.self->workspace_);
          j.call(j, op);
        },
        {this, batch, {n_logits, reinterpret_cast<float *>(logits_.get())}, call});
    return SLM_OK;
  }

  void copy_recurrent(uint32_t to, uint32_t from) {
    settle();
    const uint64_t bytes = recurrent_floats(state_->recurrent) * sizeof(float);
    std::memcpy(recurrent_.get() + to * bytes, recurrent_.get() + from * bytes, size_t(bytes));
  }

  const LoadedModel &model_;
  Workspace workspace_;
  std::unique_ptr<State> state_;
  Block cache_, recurrent_, activations_, scratch_, logits_, lowered_;
  Block given_, encoded_;
  uint32_t logits_rows_ = 0;                       // allocated, and
  uint64_t given_floats_ = 0, encoded_floats_ = 0; // floats
  const Sae *sae_ = nullptr;                       // of the last encoding
  Probe probe_;
  Block looked_at_;              // its memory
  std::vector<Placed> pictures_; // of the last evaluation that had some
  std::vector<Together> blocks_;
};

} // namespace

Status Compute::measure(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, uint64_t &bytes) {
  Shapes shapes;
  SLM_TRY(plan(model, n_ctx, n_batch, false, shapes));
  bytes = shapes.cache_bytes + shapes.recurrent_bytes + shapes.activation_bytes + shapes.scratch_bytes;
  return SLM_OK;
}

Status Compute::create(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, bool exact,
                       std::unique_ptr<Compute> &out) {
  Shapes shapes;
  SLM_TRY(plan(model, n_ctx, n_batch, exact, shapes));
  auto made = std::make_unique<CpuCompute>(model);
  SLM_TRY(made->allocate_all(std::move(shapes)));
  out = std::move(made);
  return SLM_OK;
}

Status Compute::prepare(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch) {
  return check_shape(model, n_ctx, n_batch);
}

} // namespace slm
