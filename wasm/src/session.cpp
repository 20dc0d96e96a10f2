// session.cpp: see session.h.
#include "session.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend.h"

namespace slm {

Status Session::create(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, std::unique_ptr<Session> &out) {
  if (!model.is_ready()) return fail(SLM_ERR_WRONG_STATE, "the model's weights are not all there yet");
  SLM_TRY(check_shape(model, n_ctx, n_batch));
  std::unique_ptr<Session> s(new Session(model, n_ctx, n_batch));
  SLM_TRY(Compute::create(model, n_ctx, n_batch, false, s->compute_));
  out = std::move(s);
  return SLM_OK;
}

Status Session::use(std::vector<Adaptation::Use> adapters) {
  settle();
  Adaptation next;
  SLM_TRY(next.set(model_, std::move(adapters)));
  SLM_TRY(compute_->reserve(next));
  adaptation_ = std::move(next);
  stay();
  return SLM_OK;
}

Status Session::show(std::vector<Pictures::Shown> pictures) {
  return pictures_.set(model_, n_ctx_, n_batch_, std::move(pictures));
}

Status Session::exact(bool on) {
  if (exact_ == on) return SLM_OK;
  settle();
  std::unique_ptr<Compute> other;
  SLM_TRY(Compute::create(model_, n_ctx_, n_batch_, on, other));
  SLM_TRY(other->reserve(adaptation_));
  SLM_TRY(other->look(looking_));
  compute_ = std::move(other);
  exact_ = on;
  n_evaluated_ = n_encoded_ = 0;
  reuse(nullptr, 0); // the new cache is empty
  return SLM_OK;
}

Status Session::check_looks() const {
  if (!model_.family().shape().reads()) return SLM_OK;
  return fail(SLM_ERR_UNSUPPORTED,
              "this model has an encoder before the layers that answer, and only models without one "
              "can be looked into and steered");
}

Status Session::tap(std::span<const uint32_t> pairs) {
  const Family &family = model_.family();
  if (!pairs.empty()) SLM_TRY(check_looks());
  if (family.shape().embeds() && !pairs.empty())
    return fail(SLM_ERR_UNSUPPORTED, "this model embeds texts; models that generate can be looked into");
  Looking next = looking_;
  next.taps.clear();
  for (size_t i = 0; i < pairs.size(); i += 2) {
    const uint32_t site = pairs[i], layer = pairs[i + 1];
    if (site >= kSites)
      return fail(SLM_ERR_INVALID_ARGUMENT, "there is no site ", site, "; slm_site has ", kSites, " of them");
    SLM_TRY(check_layer(layer));
    next.taps.push_back({static_cast<Site>(site), layer});
    if (next.taps.back().site == Site::Heads && family.recurrent(layer).floats() != 0)
      return fail(SLM_ERR_UNSUPPORTED, "layer ", layer,
                  " recurs and has no attention heads; take a layer that attends");
  }
  return look(std::move(next));
}

Status Session::steer(uint32_t layer, std::span<const float> direction, float scale) {
  Looking next = looking_;
  next.steering.clear();
  if (!direction.empty()) {
    SLM_TRY(check_looks());
    const ModelShape &shape = model_.family().shape();
    if (shape.embeds())
      return fail(SLM_ERR_UNSUPPORTED, "this model embeds texts; models that generate can be steered");
    SLM_TRY(check_layer(layer));
    if (direction.size() != shape.n_embd)
      return fail(SLM_ERR_INVALID_ARGUMENT, "a direction of ", uint64_t(direction.size()), " numbers; this model has ",
                  shape.n_embd, " to a row");
    next.steering = looking_.steering;
    next.steer(layer, direction, scale);
  }
  return look(std::move(next));
}

Status Session::look(Looking next) {
  SLM_TRY(compute_->look(next));
  looking_ = std::move(next);
  steering_ = looking_.key();
  n_evaluated_ = 0;
  stay();
  return SLM_OK;
}

Status Session::check_residual() const {
  if (model_.family().has_residual()) return SLM_OK;
  return fail(SLM_ERR_UNSUPPORTED,
              "this model has several residuals in each layer, which are not looked into; take one "
              "of another family");
}

Status Session::check_layer(uint32_t layer) const {
  SLM_TRY(check_residual());
  const LayerRange &layers = model_.family().layers;
  if (layers.has(layer)) return SLM_OK;
  return fail(SLM_ERR_INVALID_ARGUMENT, "there is no layer ", layer, "; the model has ", layers.first, " to ",
              layers.end - 1);
}

Status Session::tapped(uint32_t i, Rows &rows) const {
  if (i >= looking_.taps.size())
    return fail(SLM_ERR_INVALID_ARGUMENT, "there is no tap ", i, "; the session has ", uint64_t(looking_.taps.size()));
  rows = compute_->tapped(i);
  if (n_evaluated_ == 0) rows.data = nullptr;
  return SLM_OK;
}

Status Session::lens(const float *rows, uint32_t n) {
  SLM_TRY(check_looks());
  if (model_.family().shape().embeds())
    return fail(SLM_ERR_UNSUPPORTED, "this model embeds texts and has no head for a lens; take one that generates");
  SLM_TRY(check_residual());
  if (n < 1 || n > n_batch_)
    return fail(SLM_ERR_INVALID_ARGUMENT, n, " rows in one call; expected 1 to n_batch, ", n_batch_);
  stay();
  drawer_ = nullptr, n_logits_ = 0;
  SLM_TRY(compute_->lens(rows, n, adaptation_));
  n_logits_ = n, lens_ = true;
  return SLM_OK;
}

Status Session::encode(std::shared_ptr<const Sae> sae, const float *rows, uint32_t n) {
  if (!sae->is_ready() || &sae->model() != &model_)
    return fail(SLM_ERR_INVALID_ARGUMENT,
                "an SAE cannot be used: expected one that is ready and of this session's model");
  if (n < 1 || n > n_batch_)
    return fail(SLM_ERR_INVALID_ARGUMENT, n, " rows in one call; expected 1 to n_batch, ", n_batch_);
  n_encoded_ = 0;
  if (sae != sae_) settle(); // somebody who is late may still read the one before
  sae_ = std::move(sae);
  SLM_TRY(compute_->encode(*sae_, rows, n));
  n_encoded_ = n;
  return SLM_OK;
}

Status Session::check_encoded(uint32_t row) const {
  if (row < n_encoded_) return SLM_OK;
  return fail(SLM_ERR_WRONG_STATE, "there is no encoded row ", row, "; ", n_encoded_, " rows are there");
}

Status Session::features(uint32_t row, uint32_t n, int32_t *features, float *activations, uint32_t &found) const {
  SLM_TRY(check_encoded(row));
  found = 0;
  if (n == 0) return SLM_OK;
  const uint32_t all = sae_->n_features();
  std::vector<float> active(all);
  for (uint32_t i = 0; i < all; i++)
    active[i] = sae_->activation(i, compute_->encoded()[size_t(row) * all + i]);
  std::vector<Candidate> best;
  top_k(active.data(), all, std::min(n, all), best);
  for (const Candidate &c : best)
    if (c.logit > 0) {
      features[found] = c.id;
      activations[found++] = c.logit;
    }
  return SLM_OK;
}

Status Session::feature(uint32_t row, uint32_t feature, float &activation) const {
  SLM_TRY(check_encoded(row));
  const uint32_t all = sae_->n_features();
  if (feature >= all) return fail(SLM_ERR_INVALID_ARGUMENT, "there is no feature ", feature, "; the SAE has ", all);
  activation = sae_->activation(feature, compute_->encoded()[size_t(row) * all + feature]);
  return SLM_OK;
}

Status Session::top(uint32_t row, uint32_t n, int32_t *ids, float *logprobs) const {
  const uint32_t n_vocab = model_.tokenizer()->n_vocab();
  if (row >= n_logits_ || model_.family().shape().embeds())
    return fail(SLM_ERR_WRONG_STATE, "there is no row ", row, " of logits; ", n_logits_, " rows are there");
  if (n < 1 || n > n_vocab)
    return fail(SLM_ERR_INVALID_ARGUMENT, n, " tokens; expected 1 to the vocabulary's ", n_vocab);
  const float *at = logits() + size_t(row) * n_vocab, norm = log_sum_exp(at, n_vocab);
  std::vector<Candidate> best;
  top_k(at, n_vocab, n, best);
  for (uint32_t i = 0; i < n; i++) {
    ids[i] = best[i].id;
    logprobs[i] = best[i].logit - norm;
  }
  return SLM_OK;
}

void Session::stay() {
  if (gone_on_ && recurs_) Checkpoints::take_back(*compute_);
  gone_on_ = false;
}

uint32_t Session::reuse(const int32_t *ids, uint32_t n) {
  stay();
  uint32_t keep = 0;
  // Other adapters would have made other keys and values of the same tokens.
  const uint32_t usable = made_with_ == mixture() ? n_made_ : 0;
  while (keep + 1 < n && keep < usable && tokens_[keep] == ids[keep])
    keep++;
  keep = pictures_.reusable(keep);
  if (model_.family().shape().reads()) keep = 0; // an encoder sees a prompt both ways
  if (recurs_ && keep != 0) {
    // An answer's end, to which the turns behind it may be taken back.
    if (keep == n_past())
      checkpoints_.keep(*compute_, keep);
    else
      keep = checkpoints_.go_back(*compute_, keep);
  }
  // A ring may have overwritten positions that the next token would look back to.
  const std::span<const KvLayer> cache = compute_->cache();
  for (uint32_t i = 0; i < cache.size(); i++) {
    const uint32_t window = model_.family().window(i);
    if (window != 0 && cache[i].capacity < n_ctx_ && keep < tokens_.size()) {
      const uint32_t needed = keep + 1 > window ? keep + 1 - window : 0;
      if (needed < oldest_) keep = 0;
    }
  }
  tokens_.resize(keep);
  pictures_.forget(keep);
  n_made_ = keep;
  if (keep == 0) oldest_ = 0, n_read_ = 0, checkpoints_.clear();
  turn_begins_ = true;
  n_logits_ = 0;
  drawer_ = nullptr;
  return keep;
}

Status Session::check_token(int32_t id) const {
  const uint32_t n_vocab = model_.tokenizer()->n_vocab();
  if (id >= 0 && static_cast<uint32_t>(id) < n_vocab) return SLM_OK;
  return fail(SLM_ERR_INVALID_ARGUMENT, "token ", id, " does not exist; the vocabulary has 0 to ", n_vocab - 1);
}

Status Session::check_order(uint32_t n, slm_eval_flag flag) const {
  if (flag == SLM_EVAL_ALL_LOGITS)
    return fail(SLM_ERR_UNSUPPORTED, "this model's encoder reads a prompt whole and makes no logits; those of its last "
                                     "token are the answer's first, so ask for these alone");
  if (n_read_ != 0 && n != 1)
    return fail(SLM_ERR_INVALID_ARGUMENT, n,
                " tokens behind a prompt that this model's encoder has read; evaluate an "
                "answer one by one, or begin anew with another prompt");
  if (n_read_ == 0 && n > n_batch_ - n_past())
    return fail(SLM_ERR_CONTEXT_FULL, "a prompt of ", n_past() + n, " tokens is more than the ", n_batch_,
                " that this model's encoder reads at once; shorten it or choose a larger context");
  return SLM_OK;
}

Status Session::begin_answer(uint32_t n_logits, bool kept) {
  const uint32_t n = n_past();
  SLM_TRY(compute_->read({tokens_.data(), n, 0}, adaptation_));
  SLM_TRY(compute_->eval({&model_.family().shape().start, 1, n, {}, {}, n}, adaptation_, n_logits, kept));
  n_read_ = n;
  return SLM_OK;
}

Status Session::eval(const int32_t *ids, uint32_t n, slm_eval_flag flag) {
  if (model_.family().shape().embeds()) {
    if (flag != SLM_EVAL_EMBEDDING)
      return fail(SLM_ERR_UNSUPPORTED, "this model embeds texts and writes none; take another one to generate");
    if (n > n_ctx_)
      return fail(SLM_ERR_CONTEXT_FULL, "a text of ", n, " tokens is more than the ", n_ctx_,
                  " that are embedded at once; cut it into several");
    reuse(nullptr, 0);
  } else if (flag == SLM_EVAL_EMBEDDING) {
    return fail(SLM_ERR_UNSUPPORTED, "this model generates text and embeds none; take an embedding model");
  }
  if (n < 1 || n > n_batch_)
    return fail(SLM_ERR_INVALID_ARGUMENT, n, " tokens in one call; expected 1 to n_batch, ", n_batch_);
  for (uint32_t i = 0; i < n; i++)
    SLM_TRY(check_token(ids[i]));
  const uint32_t past = n_past();
  if (n > n_ctx_ - past)
    return fail(SLM_ERR_CONTEXT_FULL, "the context is full: ", past + n, " tokens are needed and n_ctx is ", n_ctx_,
                "; drop earlier turns or choose a larger context");

  const bool reads = model_.family().shape().reads();
  if (reads) SLM_TRY(check_order(n, flag));
  if (reads && n_read_ == 0 && flag == SLM_EVAL_NO_LOGITS) { // there is more of the prompt to come
    tokens_.insert(tokens_.end(), ids, ids + n);
    drawer_ = nullptr, n_logits_ = 0, lens_ = false;
    return SLM_OK;
  }
  SLM_TRY(pictures_.place(past, n));
  const bool samples = flag == SLM_EVAL_SAMPLE || flag == SLM_EVAL_SAMPLE_ON;
  const uint32_t wanted = flag == SLM_EVAL_ALL_LOGITS ? n : flag == SLM_EVAL_NO_LOGITS ? 0 : 1;
  Drawer *drawer = samples ? compute_->drawer() : nullptr;
  const bool evaluated = drawer != nullptr && gone_on_ && n == 1 && ids[0] == sampled_ && pictures_.rows().empty();
  tokens_.insert(tokens_.end(), ids, ids + n); // the sampler looks at them
  if (drawer != nullptr && !sampler_.draw(tokens_, forbidden(), draw_)) drawer = nullptr;
  if (evaluated && drawer != nullptr) gone_on_ = false;
  stay();
  drawer_ = nullptr, n_logits_ = 0, lens_ = false;
  if (!evaluated || drawer == nullptr) {
    const bool begins = reads && n_read_ == 0;
    const Batch batch{ids, n, slot(past), pictures_.rows(), pictures_.blocks(), n_read_};
    const Status status = begins ? begin_answer(wanted, drawer != nullptr)
                                 : compute_->eval(batch, adaptation_, wanted, drawer != nullptr);
    if (status != SLM_OK) tokens_.resize(past);
    SLM_TRY(status);
  }
  pictures_.placed();
  if (past == 0) made_with_ = mixture();
  if (n_made_ == past && made_with_ == mixture()) n_made_ += n;
  n_evaluated_ = n;
  overwrite(n_past());
  if (recurs_ && wanted != 0 && (turn_begins_ || n > 1)) checkpoints_.keep(*compute_, n_past());
  turn_begins_ &= wanted == 0;
  if (drawer == nullptr) {
    n_logits_ = wanted;
    return SLM_OK;
  }
  drawer->draw(draw_);
  drawer_ = drawer, sampled_ = -1; // which it is, is not known yet
  // Taps would have the next token's rows before anybody has read this one's, and what is looked up here needs its id.
  const bool alone = !looking_.taps.empty() || model_.family().looks_up();
  if (flag != SLM_EVAL_SAMPLE_ON || n_past() == n_ctx_ || alone) return SLM_OK;
  overwrite(n_past() + 1);
  if (recurs_) Checkpoints::mark(*compute_);
  gone_on_ = true;
  return drawer->go_on(slot(n_past()), n_read_, adaptation_);
}

void Session::overwrite(uint32_t n) {
  for (const KvLayer &layer : compute_->cache())
    if (layer.capacity != 0 && layer.capacity < n_ctx_ && n > layer.capacity)
      oldest_ = std::max(oldest_, n - layer.capacity);
}

Status Session::embedding(float *out, uint32_t n) const {
  const uint32_t most = model_.family().shape().n_embedding;
  const float *all = logits();
  if (all == nullptr || most == 0) return fail(SLM_ERR_WRONG_STATE, "there is no embedding; evaluate a text for one");
  if (n < 1 || n > most)
    return fail(SLM_ERR_INVALID_ARGUMENT, n, " numbers of an embedding; this model makes 1 to ", most);
  double squares = 0;
  for (uint32_t i = 0; i < n; i++)
    squares += double(all[i]) * double(all[i]);
  const double factor = squares > 0 ? 1 / std::sqrt(squares) : 0;
  for (uint32_t i = 0; i < n; i++)
    out[i] = float(double(all[i]) * factor);
  return SLM_OK;
}

const float *Session::last_logits() const {
  return n_logits_ == 0 || lens_ || model_.family().shape().embeds()
             ? nullptr
             : logits() + size_t(n_logits_ - 1) * model_.tokenizer()->n_vocab();
}

void Session::reset() {
  sampler_.reset();
  text_.reset();
  shown_.clear();
  finish_ = SLM_FINISH_NONE;
  sampled_ = -1;
}

std::span<const int32_t> Session::forbidden() const {
  if (!sampler_.ignores_eog()) return {};
  return model_.tokenizer()->eog();
}

Status Session::sample(int32_t &token) {
  if (drawer_ != nullptr) {
    SLM_TRY(drawer_->drawn(token));
  } else {
    if (last_logits() == nullptr)
      return fail(SLM_ERR_WRONG_STATE, "there are no logits to sample from; evaluate a token first");
    SLM_TRY(sampler_.sample(last_logits(), tokens_, forbidden(), token));
  }
  take(token);
  return SLM_OK;
}

void Session::accept(int32_t token) {
  sampler_.skip();
  stay();
  take(token);
}

void Session::take(int32_t token) {
  const std::vector<int32_t> &eog = model_.tokenizer()->eog();
  sampled_ = token;
  std::string bytes;
  model_.tokenizer()->decode(token, false, bytes);
  const bool ends = std::find(eog.begin(), eog.end(), token) != eog.end();
  // A special token gives no text, but may be a stop string or a part of one.
  const bool special = bytes.empty() || ends;
  if (special) {
    bytes.clear();
    model_.tokenizer()->decode(token, true, bytes);
  }
  const bool shown = !ends && std::find(shown_.begin(), shown_.end(), token) != shown_.end();
  if (text_.push(bytes, special && !shown)) finish_ = SLM_FINISH_STOP;
  if (ends) finish_ = SLM_FINISH_EOG;
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
