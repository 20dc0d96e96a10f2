// block.h: what most families share: the weights of a transformer block and of
// a model's two ends, how they are loaded, and the activations that pass
// between them. Knows no order of operations: that is each family's forward().
#pragma once

#include "model.h"

namespace slm {

/// Grouped-query attention (Ainslie et al. 2023).
struct AttentionWeights {
  float *norm;                                // (n_embd)
  Linear q;                                   // (n_head * head_dim, n_embd), or twice as many rows
  Linear k, v;                                // (n_head_kv * head_dim, n_embd)
  Linear qkv;                                 // all three, where the file has them in one
  float *q_norm = nullptr, *k_norm = nullptr; // (head_dim), or null
  Linear output;                              // (n_embd, n_head * head_dim)

  /// `per_head`: how many times a head's width q has rows for it.
  Status load(Loader &loader, uint32_t layer, const ModelShape &shape, bool qk_norm, uint32_t per_head = 1);
  /// Of a layer that attends to another one's keys and values: its own, should the file have them, are left out.
  Status load_queries(Loader &loader, uint32_t layer, const ModelShape &shape);
};

/// A gated feed-forward network (Shazeer 2020).
struct FeedForwardWeights {
  float *norm;     // (n_embd)
  Linear gate, up; // (n_ff, n_embd)
  Linear both;     // these two, where the file has them in one
  Linear down;     // (n_embd, n_ff)

  Status load(Loader &loader, uint32_t layer, const ModelShape &shape, std::string_view norm = "ffn_norm");
};

/// Before the first block and after the last.
struct Ends {
  Linear token_embd;  // (n_vocab, n_embd)
  float *output_norm; // (n_embd)
  Linear output;      // (n_vocab, n_embd), unless tied
  const Linear *head; // one of the two

  Status load(Loader &loader, const ModelShape &shape, std::string_view norm = "output_norm");
};

struct BlockState : State {
  Rows x;           // n_embd
  Rows q, attended; // n_head * head_dim
  Rows k, v;        // n_head_kv * head_dim
  Rows gated;       // n_ff

  BlockState(Arena &arena, const ModelShape &shape);
};

} // namespace slm
