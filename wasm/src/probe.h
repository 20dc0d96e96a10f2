// probe.h: looking inside a model while it runs: which rows are copied on the way
// (taps), and what is added to them (steering). Owns the places where that can
// happen and what has been asked for; where the copies lie is a backend's business.
// A family only marks where it is, so this knows no order of operations.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace slm {

/// Activations: float32 (n_tokens, width). On the GPU `data` names a buffer.
struct Rows {
  float *data = nullptr;
  uint32_t width = 0;
};

/// Where a family's forward() is in a layer.
enum class Mark {
  Heads,    // the outputs of its attention heads are there
  Middle,   // its feed-forward network comes next
  MlpEnd,   // and has been added to the residual
  LayerEnd, // the residual is what the layer hands on
  End,      // both
};

/// What can be looked at; the numbers are slm_site's.
enum class Site : uint32_t { Residual, Mlp, Heads };
inline constexpr uint32_t kSites = 3;

/// What a session wants of the evaluations that follow.
struct Looking {
  struct Place {
    Site site;
    uint32_t layer;
  };
  struct Steering {
    uint32_t layer;
    std::vector<float> direction; // (n_embd), added to the residual behind the layer
  };
  std::vector<Place> taps;
  std::vector<Steering> steering; // each layer at most once

  void steer(uint32_t layer, std::span<const float> direction, float scale);
  /// Bytes that tell one steering from another; none without any.
  std::string key() const;
};

/// The same, where a backend has given it memory.
struct Probe {
  struct Tap {
    Looking::Place place;
    Rows rows; // (n_batch, its own width)
  };
  struct Steering {
    uint32_t layer;
    const float *direction;
  };
  std::vector<Tap> taps;
  std::vector<Steering> steering;

  bool empty() const { return taps.empty() && steering.empty(); }
};

} // namespace slm
