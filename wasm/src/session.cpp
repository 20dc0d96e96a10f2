// session.cpp: see session.h.
#include "session.h"

#include <algorithm>
#include <limits>

namespace slm {
namespace {

constexpr uint32_t kMaxContext = 1u << 20, kMaxBatch = 4096;

uint32_t round_up(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

/// Slots of a layer's cache. A ring has room for a window and a whole batch,
/// and for as much again that a following turn may take back.
uint32_t capacity(const Family &family, uint32_t layer, uint32_t n_ctx, uint32_t n_batch) {
  const uint32_t all = round_up(n_ctx, kKvBlock), window = family.window(layer);
  if (window == 0 || window >= n_ctx) return all;
  const uint32_t ring = round_up(window + 2 * n_batch, kKvBlock) + kKvBlock;
  return ring < all ? ring : all;
}

struct Shapes {
  std::vector<KvLayer> cache;
  Workspace workspace;
  uint64_t cache_bytes = 0, activation_bytes = 0, scratch_bytes = 0;
};

Status plan(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, Shapes &out) {
  if (!model.is_laid_out()) return fail(SLM_ERR_WRONG_STATE, "the model is not laid out yet");
  if (n_ctx < 1 || n_ctx > kMaxContext)
    return fail(SLM_ERR_INVALID_ARGUMENT, "n_ctx is ", n_ctx, ", but should lie between 1 and ", kMaxContext);
  if (n_batch < 1 || n_batch > kMaxBatch)
    return fail(SLM_ERR_INVALID_ARGUMENT, "n_batch is ", n_batch, ", but should lie between 1 and ", kMaxBatch);
  const ModelShape &m = model.family().shape();
  for (uint32_t i = 0; i < m.n_layer; i++) {
    KvLayer layer;
    layer.n_head_kv = m.n_head_kv;
    layer.head_dim = m.head_dim;
    layer.capacity = capacity(model.family(), i, n_ctx, n_batch);
    layer.f16 = model.f16_cache();
    out.cache_bytes += 2 * layer.bytes_each();
    out.cache.push_back(layer);
  }
  Workspace &w = out.workspace;
  w.n_batch = n_batch;
  w.n_embd = m.n_embd;
  w.max_columns = std::max({m.n_embd, m.n_ff, m.n_head * m.head_dim});
  w.max_head_dim = m.head_dim;
  w.n_head = m.n_head;
  w.max_rope_dims = m.rope_dims;
  w.threads = team().size();
  w.n_segments = (n_ctx + kSegment - 1) / kSegment;
  out.scratch_bytes = w.lay_out(nullptr);
  Arena counting(nullptr, n_batch);
  (void)model.family().new_state(counting);
  out.activation_bytes = counting.used();
  return SLM_OK;
}

} // namespace

Status Session::measure(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, uint64_t &bytes) {
  Shapes shapes;
  SLM_TRY(plan(model, n_ctx, n_batch, shapes));
  bytes = shapes.cache_bytes + shapes.activation_bytes + shapes.scratch_bytes;
  return SLM_OK;
}

Status Session::create(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, std::unique_ptr<Session> &out) {
  if (!model.is_ready()) return fail(SLM_ERR_WRONG_STATE, "the model's weights are not all there yet");
  Shapes shapes;
  SLM_TRY(plan(model, n_ctx, n_batch, shapes));
  std::unique_ptr<Session> s(new Session(model, n_ctx, n_batch));
  // Zeroed: attention multiplies slots that hold nothing yet by zero.
  SLM_TRY(allocate_zeroed(s->cache_, shapes.cache_bytes, "the context's keys and values"));
  SLM_TRY(allocate(s->activations_, shapes.activation_bytes, "activations"));
  SLM_TRY(allocate(s->scratch_, shapes.scratch_bytes, "scratch memory"));
  s->workspace_ = shapes.workspace;
  s->workspace_.lay_out(s->scratch_.get());
  Arena arena(s->activations_.get(), n_batch);
  s->state_ = model.family().new_state(arena);
  uint8_t *at = s->cache_.get();
  for (KvLayer &layer : shapes.cache) {
    layer.keys = at;
    layer.values = at + layer.bytes_each();
    at += 2 * layer.bytes_each();
  }
  s->state_->cache = std::move(shapes.cache);
  out = std::move(s);
  return SLM_OK;
}

Status Session::use(std::vector<Adaptation::Use> adapters) {
  team().settle();
  SLM_TRY(adaptation_.set(model_, std::move(adapters), n_batch_));
  workspace_.adapted = adaptation_.uses.empty() ? nullptr : &adaptation_;
  return SLM_OK;
}

void Session::exact(bool on) {
  if (workspace_.exact == on) return;
  team().settle();
  workspace_.exact = on;
  reuse(nullptr, 0); // the other arithmetic made other keys and values
}

uint32_t Session::reuse(const int32_t *ids, uint32_t n) {
  uint32_t keep = 0;
  // Other adapters would have made other keys and values of the same tokens.
  const uint32_t usable = made_with_ == adaptation_.key() ? n_made_ : 0;
  while (keep + 1 < n && keep < usable && tokens_[keep] == ids[keep])
    keep++;
  // A ring may have overwritten positions that the next token would look back to.
  for (uint32_t i = 0; i < state_->cache.size(); i++) {
    const uint32_t window = model_.family().window(i);
    if (window != 0 && state_->cache[i].capacity < n_ctx_ && keep < tokens_.size()) {
      const uint32_t needed = keep + 1 > window ? keep + 1 - window : 0;
      if (needed < oldest_) keep = 0;
    }
  }
  tokens_.resize(keep);
  n_made_ = keep;
  if (keep == 0) oldest_ = 0;
  n_logits_ = 0;
  return keep;
}

Status Session::check_token(int32_t id) const {
  const uint32_t n_vocab = model_.tokenizer()->n_vocab();
  if (id >= 0 && static_cast<uint32_t>(id) < n_vocab) return SLM_OK;
  return fail(SLM_ERR_INVALID_ARGUMENT, "token ", id, " does not exist; the vocabulary has 0 to ", n_vocab - 1);
}

Status Session::eval(const int32_t *ids, uint32_t n, slm_eval_flag flag) {
  if (n < 1 || n > n_batch_)
    return fail(SLM_ERR_INVALID_ARGUMENT, n, " tokens in one call; expected 1 to n_batch, ", n_batch_);
  for (uint32_t i = 0; i < n; i++)
    SLM_TRY(check_token(ids[i]));
  const uint32_t past = n_past();
  if (n > n_ctx_ - past)
    return fail(SLM_ERR_CONTEXT_FULL, "the context is full: ", past + n, " tokens are needed and n_ctx is ", n_ctx_,
                "; drop earlier turns or choose a larger context");
  if (workspace_.threads < team().size())
    return fail(SLM_ERR_WRONG_STATE, "threads were added after the session was made; make a new session");

  const uint32_t wanted = flag == SLM_EVAL_ALL_LOGITS ? n : flag == SLM_EVAL_LAST_LOGITS ? 1 : 0;
  if (wanted > logits_rows_) {
    logits_rows_ = 0;
    team().settle();
    SLM_TRY(allocate(logits_, (uint64_t(wanted) * model_.tokenizer()->n_vocab() + 4) * sizeof(float), "logits"));
    logits_rows_ = wanted;
  }
  struct Job {
    Session *session;
    Batch batch;
    Output output;
  };
  team().run<Job>(
      [](const Job &j, uint32_t thread, uint64_t step) {
        Ops op(team(), thread, step, j.batch, j.session->workspace_);
        j.session->model_.family().forward(op, *j.session->state_, j.output);
      },
      {this, {ids, n, past}, {wanted, reinterpret_cast<float *>(logits_.get())}});

  tokens_.insert(tokens_.end(), ids, ids + n);
  if (past == 0) made_with_ = adaptation_.key();
  if (n_made_ == past && made_with_ == adaptation_.key()) n_made_ += n;
  for (const KvLayer &layer : state_->cache)
    if (layer.capacity < n_ctx_ && n_past() > layer.capacity) oldest_ = std::max(oldest_, n_past() - layer.capacity);
  n_logits_ = wanted;
  return SLM_OK;
}

const float *Session::last_logits() const {
  return n_logits_ == 0 ? nullptr : logits() + size_t(n_logits_ - 1) * model_.tokenizer()->n_vocab();
}

void Session::reset() {
  sampler_.reset();
  text_.reset();
  finish_ = SLM_FINISH_NONE;
  sampled_ = -1;
}

Status Session::sample(int32_t &token) {
  if (last_logits() == nullptr)
    return fail(SLM_ERR_WRONG_STATE, "there are no logits to sample from; evaluate a token first");
  const std::vector<int32_t> &eog = model_.tokenizer()->eog();
  std::span<const int32_t> forbidden;
  if (sampler_.ignores_eog()) forbidden = eog;
  SLM_TRY(sampler_.sample(last_logits(), tokens_, forbidden, token));
  sampled_ = token;
  std::string bytes;
  model_.tokenizer()->decode(token, false, bytes);
  const bool ends = std::find(eog.begin(), eog.end(), token) != eog.end();
  // A special token gives no text, but may be a stop string or a part of one.
  const bool hidden = bytes.empty() || ends;
  if (hidden) {
    bytes.clear();
    model_.tokenizer()->decode(token, true, bytes);
  }
  if (text_.push(bytes, hidden)) finish_ = SLM_FINISH_STOP;
  if (ends) finish_ = SLM_FINISH_EOG;
  return SLM_OK;
}

Status Session::logprobs(uint32_t n, int32_t *ids, float *values) const {
  const uint32_t n_vocab = model_.tokenizer()->n_vocab();
  if (last_logits() == nullptr || sampled_ < 0)
    return fail(SLM_ERR_WRONG_STATE, "log probabilities belong to a sampled token; sample one first");
  if (n > n_vocab) return fail(SLM_ERR_INVALID_ARGUMENT, n, " log probabilities; the vocabulary has ", n_vocab);
  const float *logits = last_logits(), norm = log_sum_exp(logits, n_vocab);
  std::vector<Candidate> best;
  if (n > 0) top_k(logits, n_vocab, n, best);
  ids[0] = sampled_;
  values[0] = logits[sampled_] - norm;
  for (uint32_t i = 0; i < n; i++) {
    ids[i + 1] = i < best.size() ? best[i].id : -1;
    values[i + 1] = i < best.size() ? best[i].logit - norm : -std::numeric_limits<float>::infinity();
  }
  return SLM_OK;
}

} // namespace slm
