// block.cpp: see block.h.
#include "block.h"

namespace slm {

Status AttentionWeights::load(Loader &loader, uint32_t layer, const ModelShape &s, bool qk_norm, uint32_t per_head) {
  const int at = static_cast<int>(layer);
  const uint32_t n_q = s.n_head * s.head_dim, n_kv = s.n_head_kv * s.head_dim;
  SLM_TRY(loader.vector(at, "attn_norm", s.n_embd, norm));
  if (loader.has(at, "attn_qkv")) {
    SLM_TRY(loader.stacked(at, "attn_qkv", s.n_embd, qkv, {{q, per_head * n_q}, {k, n_kv}, {v, n_kv}}));
  } else {
    SLM_TRY(loader.linear_with_bias(at, "attn_q", per_head * n_q, s.n_embd, q));
    SLM_TRY(loader.linear_with_bias(at, "attn_k", n_kv, s.n_embd, k));
    SLM_TRY(loader.linear_with_bias(at, "attn_v", n_kv, s.n_embd, v));
  }
  if (qk_norm) {
    SLM_TRY(loader.vector(at, "attn_q_norm", s.head_dim, q_norm));
    SLM_TRY(loader.vector(at, "attn_k_norm", s.head_dim, k_norm));
  }
  return loader.linear_with_bias(at, "attn_output", s.n_embd, n_q, output);
}

Status AttentionWeights::load_queries(Loader &loader, uint32_t layer, const ModelShape &s) {
  const int at = static_cast<int>(layer);
  const uint32_t n_q = s.n_head * s.head_dim;
  SLM_TRY(loader.vector(at, "attn_norm", s.n_embd, norm));
  SLM_TRY(loader.linear_with_bias(at, "attn_q", n_q, s.n_embd, q));
  SLM_TRY(loader.vector(at, "attn_q_norm", s.head_dim, q_norm));
  for (const std::string_view name : {"attn_k", "attn_v", "attn_k_norm"})
    loader.leave_out(at, name);
  return loader.linear_with_bias(at, "attn_output", s.n_embd, n_q, output);
}

Status FeedForwardWeights::load(Loader &loader, uint32_t layer, const ModelShape &s, std::string_view norm_name) {
  const int at = static_cast<int>(layer);
  SLM_TRY(loader.vector(at, norm_name, s.n_embd, norm));
  if (loader.rows(at, "ffn_up") == 2 * s.n_ff) {
    SLM_TRY(loader.stacked(at, "ffn_up", s.n_embd, both, {{gate, s.n_ff}, {up, s.n_ff}}));
  } else {
    SLM_TRY(loader.linear_with_bias(at, "ffn_gate", s.n_ff, s.n_embd, gate));
    SLM_TRY(loader.linear_with_bias(at, "ffn_up", s.n_ff, s.n_embd, up));
  }
  return loader.linear_with_bias(at, "ffn_down", s.n_embd, s.n_ff, down);
}

Status Ends::load(Loader &loader, const ModelShape &s, std::string_view norm) {
  SLM_TRY(loader.linear(-1, "token_embd", s.n_vocab, s.n_embd, token_embd));
  SLM_TRY(loader.vector(-1, norm, s.n_embd, output_norm));
  return loader.head(s.n_embd, token_embd, output, head);
}

BlockState::BlockState(Arena &arena, const ModelShape &s) {
  x = arena.rows(s.n_embd);
  q = arena.rows(s.n_head * s.head_dim), attended = arena.rows(s.n_head * s.head_dim);
  k = arena.rows(s.n_head_kv * s.head_dim), v = arena.rows(s.n_head_kv * s.head_dim);
  gated = arena.rows(s.n_ff);
}

} // namespace slm
