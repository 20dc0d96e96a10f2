// session.h: one conversation and its sampler: slm_session behind the ABI. Owns
// which tokens the cache holds; knows no chat roles, and not where is computed.
#pragma once

#include <vector>

#include "checkpoints.h"
#include "compute.h"
#include "pictures.h"
#include "sampler.h"
#include "text_stream.h"

namespace slm {

class Session {
public:
  /// The model must be ready and outlive the session.
  static Status create(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, std::unique_ptr<Session> &out);

  /// The adapters of the following evaluations; see slm_session_adapters.
  Status use(std::vector<Adaptation::Use> adapters);
  /// The pictures of the following prompts; see slm_session_pictures.
  Status show(std::vector<Pictures::Shown> pictures);
  /// Whether the following evaluations round nothing; see slm_session_exact.
  Status exact(bool on);
  /// What the following evaluations copy, and what they add; see slm_session_tap and slm_session_steer.
  Status tap(std::span<const uint32_t> pairs);
  /// The rows of a tap; none before an evaluation.
  Status tapped(uint32_t i, Rows &rows) const;
  Status steer(uint32_t layer, std::span<const float> direction, float scale);
  /// See slm_session_lens and slm_session_top.
  Status lens(const float *rows, uint32_t n);
  Status top(uint32_t row, uint32_t n, int32_t *ids, float *logprobs) const;
  /// See slm_session_encode, slm_session_features and slm_session_feature.
  Status encode(std::shared_ptr<const Sae> sae, const float *rows, uint32_t n);
  Status features(uint32_t row, uint32_t n, int32_t *features, float *activations, uint32_t &found) const;
  Status feature(uint32_t row, uint32_t feature, float &activation) const;
  uint32_t reuse(const int32_t *ids, uint32_t n);
  uint32_t n_past() const { return static_cast<uint32_t>(tokens_.size()); }
  Status eval(const int32_t *ids, uint32_t n, slm_eval_flag flag);
  const float *logits() const { return n_logits_ == 0 ? nullptr : compute_->logits(); }
  /// The first `n` numbers of the last text's embedding; see slm_session_embedding.
  Status embedding(float *out, uint32_t n) const;

  void reset();
  Sampler &sampler() { return sampler_; }
  TextStream &text() { return text_; }
  /// This special token gives its text.
  void show(int32_t token) { shown_.push_back(token); }
  Status sample(int32_t &token);
  /// Takes a token that was sampled before, by another session.
  void accept(int32_t token);
  slm_finish finish() const { return finish_; }
  Status logprobs(uint32_t n, int32_t *ids, float *values) const;
  Status check_token(int32_t id) const;

private:
  Session(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch)
      : model_(model), n_ctx_(n_ctx), n_batch_(n_batch), recurs_(recurrent_floats(recurrent_shapes(model)) != 0),
        sampler_(model.tokenizer()->n_vocab()) {}
  const float *last_logits() const;
  /// A ring overwrites its oldest positions when the cache reaches `n` tokens.
  void overwrite(uint32_t n);
  std::span<const int32_t> forbidden() const;
  /// Into the text; the session may be finished then.
  void take(int32_t token);

  Status look(Looking next);
  Status check_encoded(uint32_t row) const;
  Status check_layer(uint32_t layer) const;
  /// Whether there is what looks inside see.
  Status check_residual() const;
  /// Bytes that tell apart what would make other keys and values of the same tokens.
  std::string mixture() const { return adaptation_.key() + steering_; }
  /// Whether an encoder leaves anything to look into.
  Status check_looks() const;
  /// Whether these tokens may come next, where an encoder reads what is before an answer.
  Status check_order(uint32_t n, slm_eval_flag flag) const;
  /// Has the encoder read all tokens, and evaluates what the answer begins with.
  Status begin_answer(uint32_t n_logits, bool kept);
  /// Of a token's keys: behind a prompt that was read the answer's first token has a place of its own.
  uint32_t slot(uint32_t position) const { return position + uint32_t(n_read_ != 0); }
  /// A token that was evaluated before anybody wanted it leaves no trace in a state.
  void stay();

  const LoadedModel &model_;
  uint32_t n_ctx_, n_batch_;
  bool recurs_;                 // some of its layers have a state
  std::vector<int32_t> tokens_; // in the cache, by position; of a prompt that an encoder is to read, already here
  uint32_t n_read_ = 0;         // of them, by the encoder
  uint32_t oldest_ = 0;         // positions before this one are gone from some ring
  Adaptation adaptation_;
  Looking looking_;
  std::string steering_;  // its key
  std::string made_with_; // the mixture of the cache's first positions,
  uint32_t n_made_ = 0;   // and how many those are
  Pictures pictures_;
  std::unique_ptr<Compute> compute_;
  Checkpoints checkpoints_;
  bool turn_begins_ = true;  // nothing was evaluated for its logits yet
  bool exact_ = false;       // what it is
  uint32_t n_logits_ = 0;    // rows that are there
  bool lens_ = false;        // and no token's, but somebody's rows'
  uint32_t n_evaluated_ = 0; // tokens of the last evaluation, whose rows the taps have
  std::shared_ptr<const Sae> sae_;
  uint32_t n_encoded_ = 0;   // rows that it has encoded
  Drawer *drawer_ = nullptr; // who has drawn the next token, if the sampler has not
  bool gone_on_ = false;     // and already evaluates it
  Draw draw_;
  Sampler sampler_;
  TextStream text_;
  std::vector<int32_t> shown_; // special tokens that give their text
  slm_finish finish_ = SLM_FINISH_NONE;
  int32_t sampled_ = -1;
};

} // namespace slm
