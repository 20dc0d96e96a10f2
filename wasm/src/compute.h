// compute.h: what a session computes in and with: the caches of its layers, its
// activations, its scratch memory, and the run of a family's forward() over
// them. cpu/compute.cpp and gpu/compute.cpp each make one. Knows tokens and
// positions, nothing of what was said before or comes next.
#pragma once

#include <memory>
#include <span>

#include "adapter.h"
#include "draw.h"
#include "sae.h"

namespace slm {

/// A device that draws tokens itself, so that neither logits nor the token need to
/// cross before the next evaluation begins.
class Drawer {
public:
  /// From the last row of logits of the last evaluation.
  virtual void draw(const Draw &draw) = 0;
  /// Evaluates what was drawn, at position `past`, before anybody else knows what it is.
  /// `read`: see Batch.
  virtual Status go_on(uint32_t past, uint32_t read, const Adaptation &adaptation) = 0;
  /// What the last draw gave, once the host has waited.
  virtual Status drawn(int32_t &token) const = 0;

protected:
  ~Drawer() = default;
};

class Compute {
public:
  /// Copies of what recurrent layers remember.
  static constexpr uint32_t kCopies = 5;

  /// The model must be ready and outlive it. `exact` rounds neither activations nor what the cache
  /// holds; see slm_session_exact.
  static Status create(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, bool exact,
                       std::unique_ptr<Compute> &out);
  /// Bytes that one takes; the model need only be laid out.
  static Status measure(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, uint64_t &bytes);
  /// Tells the device what evaluations will ask of it, before any weight is there; on the CPU nothing.
  static Status prepare(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch);

  virtual ~Compute() = default;
  virtual std::span<const KvLayer> cache() const = 0;
  /// Copies the memory of the recurrent layers, as the evaluations so far leave it, and back.
  virtual void keep(uint32_t copy) = 0;
  virtual void restore(uint32_t copy) = 0;
  /// Room for what the adapters of the evaluations that follow compute.
  virtual Status reserve(const Adaptation &adaptation) = 0;
  /// Runs the batch through the model for the logits of its last `n_logits` tokens. `kept`: nobody looks at
  /// them, for the drawer draws from them.
  virtual Status eval(const Batch &batch, const Adaptation &adaptation, uint32_t n_logits, bool kept) = 0;
  /// Runs a whole prompt through the model's encoder, whose results the evaluations behind it see.
  virtual Status read(const Batch &batch, const Adaptation &adaptation) = 0;
  /// (n_logits, n_vocab) of the last eval, once the host has waited for them where they come from a device.
  virtual const float *logits() const = 0;
  /// What the evaluations that follow copy on their way, and what they add, in place of what was before.
  virtual Status look(const Looking &looking) = 0;
  /// (tokens of the last eval, width) of a tap, once the host has waited where they come from a device.
  virtual Rows tapped(uint32_t tap) const = 0;
  /// Takes `n` rows of n_embd in place of those of the last layer, for their logits.
  virtual Status lens(const float *rows, uint32_t n, const Adaptation &adaptation) = 0;
  /// Hands `n` rows to an encoder, without rounding them; (n, n_features) before JumpReLU come of it.
  virtual Status encode(const Sae &sae, const float *rows, uint32_t n) = 0;
  virtual const float *encoded() const = 0;
  /// Where a device draws tokens itself; else nullptr.
  virtual Drawer *drawer() { return nullptr; }
};

/// Slots of a layer's cache and its elements, none where it has no cache of its own; where it lies, a backend decides.
std::vector<KvLayer> cache_shapes(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, bool exact);
/// Positions that one token sees at most, in the layer that sees most.
uint32_t most_seen(const LoadedModel &model, std::span<const KvLayer> cache, uint32_t n_ctx);
/// Numbers of a row of this tap.
uint32_t tap_width(const LoadedModel &model, Looking::Place place);
/// What each layer remembers, one behind the other in one memory.
std::vector<RecurrentLayer> recurrent_shapes(const LoadedModel &model);
/// Floats of that memory.
uint64_t recurrent_floats(std::span<const RecurrentLayer> layers);
/// Positions of its caches: an answer's first token has one that no session counts.
uint32_t positions(const LoadedModel &model, uint32_t n_ctx);
/// Whether a session of this shape may be made at all. A model that embeds takes a text in one call, so that
/// its batch is its context; of one with an encoder it is as much of that as a prompt may fill.
Status check_shape(const LoadedModel &model, uint32_t n_ctx, uint32_t &n_batch);

/// The longest context that a model was trained for, or if it embeds, its longest text: that is one evaluation.
uint32_t trained_context(const ModelShape &shape);

} // namespace slm
