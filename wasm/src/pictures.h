// pictures.h: which pictures stand where in a session's positions: those of the
// prompts to come, and those that its cache was computed with. Owns their
// comparison by identity, and that an evaluation has a picture whole where its
// positions see what is behind them; knows nothing of how pictures are encoded or
// tokens evaluated.
#pragma once

#include <vector>

#include "vision.h"

namespace slm {

class Pictures {
public:
  struct Shown {
    std::shared_ptr<const Picture> picture;
    uint32_t at; // its first position
    uint32_t end() const { return at + picture->n; }
  };

  /// Those of the prompts to come. On error nothing changes.
  Status set(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, std::vector<Shown> wanted);

  /// How many of the first `n` positions of the cache stay for a prompt with the pictures of now.
  uint32_t reusable(uint32_t n) const;
  /// The cache has only its first `n` positions any more.
  void forget(uint32_t n);

  /// Prepares rows() and blocks() for an evaluation of positions [past, past + n).
  Status place(uint32_t past, uint32_t n);
  std::span<const Placed> rows() const { return rows_; }
  std::span<const Together> blocks() const { return blocks_; }
  /// What was prepared is in the cache.
  void placed();

private:
  std::vector<Shown> wanted_, cached_; // by position
  uint32_t whole_ = 0; // so many first positions of the cache were one prompt that is whole or not there
  std::vector<Placed> rows_;
  std::vector<Together> blocks_;
  std::vector<Shown> placing_;
  uint32_t placing_whole_ = 0;
};

} // namespace slm
