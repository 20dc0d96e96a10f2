// drawing.h: draws a token on the device: adjusts the logits, finds the best of
// them in two rounds and picks one, which stays there for the next evaluation;
// sixteen bytes of it cross to the host. What a shader does stands in the shader.
#pragma once

#include "../draw.h"
#include "../error.h"
#include "device.h"

namespace slm {

class Drawing {
public:
  explicit Drawing(uint32_t n_vocab);

  /// From the row that begins at float `first` of `logits`, into ids[0].
  void encode(const Draw &draw, const Buffer &logits, uint32_t first, const Buffer &ids);
  /// Once the host has waited.
  Status drawn(int32_t &token) const;
  /// Bytes that it takes.
  static uint64_t bytes(uint32_t n_vocab);

private:
  /// What pick.wgsl leaves; only the tests look at `kept`.
  struct Result {
    int32_t token;
    uint32_t candidates, not_finite, kept;
  };

  uint32_t n_vocab_;
  Buffer adjustments_, sampling_, found_, best_, result_;
  std::vector<uint32_t> upload_; // of the adjustments
  Result drawn_ = {};
};

} // namespace slm
