// compute.cpp: a session's buffers and evaluations on the GPU; see ../compute.h.
#include "../compute.h"

#include <algorithm>
#include <limits>

#include "arena.h"
#include "drawing.h"
#include "ops.h"

namespace slm {
namespace {

/// Bytes of everything that a session has on the device.
struct Shapes {
  std::vector<KvLayer> cache;
  std::vector<RecurrentLayer> recurrent;
  uint64_t recurrent_bytes; // of one copy
  uint64_t ids, angles, normed, up, partials, bytes;
};

Status plan(const LoadedModel &model, uint32_t n_ctx, uint32_t &n_batch, bool exact, Shapes &out) {
  SLM_TRY(check_shape(model, n_ctx, n_batch));
  const ModelShape &m = model.family().shape();
  const uint64_t limit = gpu_limit();
  if (m.head_dim > GpuOps::kWidestHead)
    return fail(SLM_ERR_UNSUPPORTED, "attention heads of ", m.head_dim, " columns; the GPU's kernels take up to ",
                GpuOps::kWidestHead, ", so use the CPU");
  out.cache = cache_shapes(model, n_ctx, n_batch, exact);
  out.bytes = 0;
  for (const KvLayer &layer : out.cache) {
    if (layer.bytes_each() > limit)
      return fail(SLM_ERR_OUT_OF_MEMORY, "the keys of ", layer.capacity, " positions take ", layer.bytes_each(),
                  " bytes a layer, but this GPU binds at most ", limit, "; choose a shorter context");
    out.bytes += 2 * layer.bytes_each();
  }
  out.recurrent = recurrent_shapes(model);
  out.recurrent_bytes = recurrent_floats(out.recurrent) * sizeof(float);
  if (out.recurrent_bytes > limit)
    return fail(SLM_ERR_OUT_OF_MEMORY, "the recurrent layers' states take ", out.recurrent_bytes,
                " bytes, but this GPU binds at most ", limit, "; use the CPU");
  out.bytes += (1 + Compute::kCopies) * out.recurrent_bytes;
  const uint32_t widest = std::max({m.n_embd, m.n_ff, m.n_head * m.head_dim, m.n_recurrent});
  out.ids = n_batch * 4;
  out.angles = uint64_t(n_batch) * m.rope_dims * 4;
  out.normed = out.up = uint64_t(n_batch) * stride_of(widest) * 4;
  const uint32_t seen = most_seen(model, out.cache, positions(model, n_ctx));
  out.partials = uint64_t(m.n_head) * (seen / GpuOps::kSegment + 2) * (m.head_dim + 2) * 4;
  BufferArena counting(n_batch, nullptr);
  (void)model.family().new_state(counting);
  // No dispatch has more workgroups a side than one for each token, or for four queries of a head of keys.
  uint32_t fewest = m.n_head_kv; // heads of keys
  for (const KvLayer &layer : out.cache)
    if (layer.capacity != 0) fewest = std::min(fewest, layer.n_head_kv);
  const uint64_t queries = uint64_t(n_batch) * (m.n_head / fewest);
  const uint64_t largest = std::max(out.normed, counting.largest);
  const uint64_t most_queries = uint64_t(kMostWorkgroups) * GpuOps::kFewestQueries;
  if (largest > limit || queries > most_queries)
    return fail(SLM_ERR_OUT_OF_MEMORY, "activations of ", n_batch, " tokens take ", largest, " bytes and ", queries,
                " queries a head, but this GPU binds at most ", limit, " and the kernels take ", most_queries,
                "; choose a smaller n_batch");
  if (out.partials > limit)
    return fail(SLM_ERR_OUT_OF_MEMORY, "attention over ", seen, " positions takes ", out.partials,
                " bytes, but this GPU binds at most ", limit, "; choose a shorter context");
  out.bytes += out.ids + kMaxRopes * out.angles + out.normed + out.up + out.partials + counting.used +
               Drawing::bytes(model.tokenizer()->n_vocab());
  return SLM_OK;
}

class GpuCompute final : public Compute, public Drawer {
public:
  GpuCompute(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, bool exact, Shapes &&shapes)
      : model_(model), exact_(exact), drawing_(model.tokenizer()->n_vocab()) {
    const ModelShape &m = model.family().shape();
    scratch_.n_batch = n_batch;
    scratch_.n_ctx = n_ctx;
    scratch_.max_rope_dims = m.rope_dims;
    scratch_.batch = Buffer(16);
    scratch_.ids = Buffer(shapes.ids);
    for (Buffer &angles : scratch_.angles)
      angles = Buffer(shapes.angles);
    scratch_.normed = Buffer(shapes.normed);
    scratch_.up = Buffer(shapes.up);
    scratch_.partials = Buffer(shapes.partials);
    BufferArena arena(n_batch, &buffers_);
    state_ = model.family().new_state(arena);
    for (KvLayer &layer : shapes.cache) {
      if (layer.capacity == 0) continue;
      for (void **each : {&layer.keys, &layer.values}) {
        buffers_.emplace_back(layer.bytes_each());
        *each = name_of<void>(buffers_.back().handle());
      }
    }
    state_->cache = std::move(shapes.cache);
    if (shapes.recurrent_bytes != 0) {
      for (Buffer &copy : recurrent_)
        copy = Buffer(shapes.recurrent_bytes);
      for (RecurrentLayer &layer : shapes.recurrent)
        layer.memory = name_of<float>(recurrent_[0].handle());
    }
    state_->recurrent = std::move(shapes.recurrent);
  }

  std::span<const KvLayer> cache() const override { return state_->cache; }
  const float *logits() const override { return reinterpret_cast<const float *>(host_logits_.get()); }

  void keep(uint32_t copy) override { copy_recurrent(recurrent_[0], recurrent_[1 + copy]); }
  void restore(uint32_t copy) override { copy_recurrent(recurrent_[1 + copy], recurrent_[0]); }

  Status reserve(const Adaptation &adaptation) override {
    uint32_t rank = 0; // adapters take turns
    for (const Adaptation::Use &use : adaptation.uses)
      rank = std::max(rank, use.adapter->max_rank());
    const uint64_t bytes = uint64_t(scratch_.n_batch) * stride_of(rank) * sizeof(float);
    if (bytes > gpu_limit())
      return fail(SLM_ERR_OUT_OF_MEMORY, "an adapter of rank ", rank, " takes ", bytes,
                  " bytes, but this GPU binds at most ", gpu_limit(), "; choose a smaller n_batch");
    if (bytes > scratch_.lowered.bytes()) scratch_.lowered = Buffer(bytes);
    return SLM_OK;
  }

  Status look(const Looking &looking) override {
    Looked next;
    uint64_t floats = 0; // of all that is read
    for (const Looking::Place &place : looking.taps) {
      const uint32_t width = tap_width(model_, place);
      const uint64_t bytes = uint64_t(scratch_.n_batch) * stride_of(width) * sizeof(float);
      next.buffers.emplace_back(bytes);
      next.probe.taps.push_back({place, {name_of<float>(next.buffers.back().handle()), width}});
      floats += uint64_t(scratch_.n_batch) * width;
    }
    SLM_TRY(allocate(next.read, floats * sizeof(float), "what is looked at"));
    for (const Looking::Steering &s : looking.steering) {
      next.buffers.emplace_back(uint64_t(stride_of(uint32_t(s.direction.size()))) * sizeof(float));
      const uint32_t buffer = next.buffers.back().handle();
      gpu_upload(buffer, 0, s.direction.data(), uint32_t(s.direction.size() * sizeof(float)));
      next.probe.steering.push_back({s.layer, name_of<float>(buffer)});
    }
    looked_ = std::move(next);
    scratch_.probe = looked_.probe.empty() ? nullptr : &looked_.probe;
    return SLM_OK;
  }

  Rows tapped(uint32_t tap) const override {
    float *at = reinterpret_cast<float *>(looked_.read.get());
    for (uint32_t i = 0; i < tap; i++)
      at += size_t(scratch_.n_batch) * looked_.probe.taps[i].rows.width;
    return {at, looked_.probe.taps[tap].rows.width};
  }

  Status lens(const float *rows, uint32_t n, const Adaptation &adaptation) override {
    SLM_TRY(make_room(n, n));
    const Rows given = give(rows, n, model_.family().shape().n_embd);
    GpuOps op({nullptr, n, 0}, scratch_, model_.weights(), adaptation.uses.empty() ? nullptr : &adaptation, exact_);
    model_.family().head(op, *state_, given, {n, name_of<float>(logits_.handle())});
    n_logits_ = n;
    read_rows({name_of<float>(logits_.handle()), model_.family().shape().n_out()}, n,
              reinterpret_cast<float *>(host_logits_.get()));
    gpu_submit();
    return SLM_OK;
  }

  Status encode(const Sae &sae, const float *rows, uint32_t n) override {
    const uint64_t bytes = uint64_t(n) * stride_of(sae.n_features()) * sizeof(float);
    if (bytes > gpu_limit())
      return fail(SLM_ERR_OUT_OF_MEMORY, "the features of ", n, " rows take ", bytes,
                  " bytes, but this GPU binds at most ", gpu_limit(), "; encode fewer at once");
    if (bytes > encoded_.bytes()) {
      // The old buffer goes first, and with it what is still to be read from it to where the old rows lie.
      encoded_ = {};
      SLM_TRY(allocate(host_encoded_, bytes, "features"));
      encoded_ = Buffer(bytes);
    }
    const Rows out{name_of<float>(encoded_.handle()), sae.n_features()};
    GpuOps op({nullptr, n, 0}, scratch_, sae.weights(), nullptr, true);
    op.matmul({give(rows, n, sae.width())}, {{sae.encoder(), out}});
    read_rows(out, n, reinterpret_cast<float *>(host_encoded_.get()));
    gpu_submit();
    return SLM_OK;
  }
  const float *encoded() const override { return reinterpret_cast<const float *>(host_encoded_.get()); }

  Status eval(const Batch &batch, const Adaptation &adaptation, uint32_t n_logits, bool kept) override {
    SLM_TRY(make_room(n_logits, kept ? 0 : n_logits));
    gpu_upload(scratch_.ids.handle(), 0, batch.ids, batch.n * 4);
    if (!batch.blocks.empty()) upload_blocks(batch);
    encode(batch, adaptation, n_logits);
    if (!kept)
      read_rows({name_of<float>(logits_.handle()), model_.family().shape().n_out()}, n_logits,
                reinterpret_cast<float *>(host_logits_.get()));
    for (uint32_t i = 0; i < looked_.probe.taps.size(); i++)
      read_rows(looked_.probe.taps[i].rows, batch.n, tapped(i).data);
    gpu_submit();
    return SLM_OK;
  }

  Drawer *drawer() override { return this; }

  void draw(const Draw &draw) override {
    drawing_.encode(draw, logits_, (n_logits_ - 1) * stride_of(model_.tokenizer()->n_vocab()), scratch_.ids);
  }

  Status read(const Batch &batch, const Adaptation &adaptation) override {
    gpu_upload(scratch_.ids.handle(), 0, batch.ids, batch.n * 4);
    GpuOps op = operations(batch, adaptation);
    model_.family().read(op, *state_);
    gpu_submit();
    return SLM_OK;
  }

  Status go_on(uint32_t past, uint32_t read, const Adaptation &adaptation) override {
    encode({nullptr, 1, past, {}, {}, read}, adaptation, 1); // the id is where the draw has left it
    gpu_submit();
    return SLM_OK;
  }

  Status drawn(int32_t &token) const override { return drawing_.drawn(token); }

private:
  /// `n` rows of `width` on the device.
  Rows give(const float *rows, uint32_t n, uint32_t width) {
    const uint32_t stride = stride_of(width);
    const uint64_t bytes = uint64_t(scratch_.n_batch) * stride * sizeof(float);
    if (bytes > given_.bytes()) given_ = Buffer(bytes);
    for (uint32_t i = 0; i < n; i++)
      gpu_upload(given_.handle(), i * stride * 4, rows + size_t(i) * width, width * 4);
    return {name_of<float>(given_.handle()), width};
  }

  /// Ordered among the evaluations, and submitted with the next one.
  static void copy_recurrent(const Buffer &from, const Buffer &to) {
    GpuOps::copy_floats(from.handle(), to.handle(), 0, static_cast<uint32_t>(from.bytes() / sizeof(float)));
  }

  /// Of each token the positions that its block lets it see: those of none, where it is in none.
  void upload_blocks(const Batch &batch) {
    std::vector<uint32_t> seen(2 * size_t(scratch_.n_batch));
    for (size_t t = 0; t < scratch_.n_batch; t++)
      seen[2 * t] = UINT32_MAX;
    for (const Together &block : batch.blocks)
      for (uint32_t t = block.begin; t < block.end; t++) {
        if (!block.windowed) seen[2 * t] = batch.past + block.begin;
        seen[2 * t + 1] = batch.past + block.end;
      }
    if (scratch_.blocks.handle() == 0) scratch_.blocks = Buffer(seen.size() * sizeof(uint32_t));
    gpu_upload(scratch_.blocks.handle(), 0, seen.data(), static_cast<uint32_t>(seen.size() * sizeof(uint32_t)));
  }

  /// Reads the first `n` rows to `out`, (n, width). Whoever looks before the host has waited finds no number, and not
  /// what was there before.
  static void read_rows(Rows rows, uint32_t n, float *out) {
    std::fill_n(out, size_t(n) * rows.width, std::numeric_limits<float>::quiet_NaN());
    for (uint32_t i = 0; i < n; i++)
      gpu_read(handle_of(rows.data), i * stride_of(rows.width) * 4, rows.width * 4, out + size_t(i) * rows.width);
  }

  GpuOps operations(const Batch &batch, const Adaptation &adaptation) {
    const uint32_t state[4] = {batch.past};
    gpu_upload(scratch_.batch.handle(), 0, state, sizeof state);
    return {batch, scratch_, model_.weights(), adaptation.uses.empty() ? nullptr : &adaptation, exact_};
  }

  void encode(const Batch &batch, const Adaptation &adaptation, uint32_t n_logits) {
    GpuOps op = operations(batch, adaptation);
    model_.family().forward(op, *state_, {n_logits, name_of<float>(logits_.handle())});
    n_logits_ = n_logits;
  }

  /// For logits of `n` tokens on the device and of `read` here.
  Status make_room(uint32_t n, uint32_t read) {
    const uint32_t n_out = model_.family().shape().n_out();
    const uint64_t bytes = uint64_t(n) * stride_of(n_out) * sizeof(float);
    if (bytes > gpu_limit())
      return fail(SLM_ERR_OUT_OF_MEMORY, "the logits of ", n, " tokens take ", bytes,
                  " bytes, but this GPU binds at most ", gpu_limit(), "; evaluate fewer at once");
    if (read > host_rows_) {
      host_rows_ = 0;
      SLM_TRY(allocate(host_logits_, uint64_t(read) * n_out * sizeof(float), "logits"));
      host_rows_ = read;
    }
    if (bytes > logits_.bytes()) logits_ = Buffer(bytes);
    return SLM_OK;
  }

  const LoadedModel &model_;
  bool exact_;
  Scratch scratch_;
  std::vector<Buffer> buffers_; // of the state and the cache
  std::unique_ptr<State> state_;
  Buffer recurrent_[1 + kCopies]; // what the layers remember, and copies of it
  /// What is looked at.
  struct Looked {
    Probe probe;
    std::vector<Buffer> buffers;
    Block read; // the taps' rows, one behind the other
  } looked_;
  Buffer given_, encoded_; // rows for the head or an encoder, and what that makes of them
  Block host_encoded_;     // as it was read
  Buffer logits_;          // (n_logits, stride of n_out)
  uint32_t n_logits_ = 0;  // of the last evaluation
  Block host_logits_;      // those that were read
  uint32_t host_rows_ = 0; // for so many there is room
  Drawing drawing_;
};

} // namespace

Status Compute::measure(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, uint64_t &bytes) {
  Shapes shapes;
  SLM_TRY(plan(model, n_ctx, n_batch, false, shapes));
  bytes = shapes.bytes;
  return SLM_OK;
}

Status Compute::create(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, bool exact,
                       std::unique_ptr<Compute> &out) {
  Shapes shapes;
  SLM_TRY(plan(model, n_ctx, n_batch, exact, shapes));
  out = std::make_unique<GpuCompute>(model, n_ctx, n_batch, exact, std::move(shapes));
  return SLM_OK;
}

/// Goes once through every kind of evaluation that there is: a token near the context's beginning
/// and at its end, a few tokens, and a whole batch; then through those of a short exact session.
Status Compute::prepare(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch) {
  constexpr uint32_t kExactContext = 64; // room for a known answer
  for (const bool exact : {false, true}) {
    const uint32_t longest = exact ? std::min(n_ctx, kExactContext) : n_ctx;
    const uint32_t most = exact ? longest : std::min(n_batch, longest), few = std::min(most, 2u);
    const uint32_t many = std::min(most, GpuOps::kFewTokens + 1); // as few as are many
    std::unique_ptr<Compute> pretended;
    SLM_TRY(create(model, longest, most, exact, pretended));
    const std::vector<int32_t> ids(most);
    const Adaptation none;
    struct {
      uint32_t n, past, n_logits;
    } const evaluations[] = {{1, 0, 1}, {1, longest - 1, 1}, {few, 0, few}, {most, 0, 1}, {many, 0, many}};
    for (const auto &e : evaluations) {
      if (!model.family().shape().reads()) {
        SLM_TRY(pretended->eval({ids.data(), e.n, e.past}, none, e.n_logits, false));
        continue;
      }
      SLM_TRY(pretended->read({ids.data(), e.n, 0}, none));
      SLM_TRY(pretended->eval({ids.data(), 1, std::max(e.past, e.n), {}, {}, e.n}, none, 1, false));
    }
    if (recurrent_floats(recurrent_shapes(model)) != 0) pretended->keep(0);
    Draw draw{};
    draw.adjustments.push_back({.id = 0});
    if (!model.family().shape().embeds()) pretended->drawer()->draw(draw);
  }
  return SLM_OK;
}

} // namespace slm
