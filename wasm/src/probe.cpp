// probe.cpp: see probe.h, and Ops::mark.
#include "probe.h"

#include "ops.h"

namespace slm {

void Looking::steer(uint32_t layer, std::span<const float> direction, float scale) {
  Steering *at = nullptr;
  for (Steering &s : steering)
    if (s.layer == layer) at = &s;
  if (at == nullptr) {
    steering.push_back({layer, std::vector<float>(direction.size())});
    at = &steering.back();
  }
  for (size_t i = 0; i < direction.size(); i++)
    at->direction[i] += scale * direction[i];
}

std::string Looking::key() const {
  std::string key;
  for (const Steering &s : steering) {
    key.append("steered").append(reinterpret_cast<const char *>(&s.layer), sizeof s.layer);
    key.append(reinterpret_cast<const char *>(s.direction.data()), s.direction.size() * sizeof(float));
  }
  return key;
}

void Ops::look(Mark mark, uint32_t layer, Rows rows) {
  const bool mlp_ends = mark == Mark::MlpEnd || mark == Mark::End;
  const bool layer_ends = mark == Mark::LayerEnd || mark == Mark::End;
  // What a network adds is seen before anybody else adds to it, what a layer hands on behind that.
  for (const Probe::Tap &tap : probe_->taps)
    if (tap.place.layer == layer && tap.place.site == Site::Mlp) {
      if (mark == Mark::Middle) copy(rows, tap.rows);
      if (mlp_ends) difference(rows, tap.rows);
    }
  if (layer_ends)
    for (const Probe::Steering &s : probe_->steering)
      if (s.layer == layer) add_row(s.direction, rows);
  for (const Probe::Tap &tap : probe_->taps)
    if (tap.place.layer == layer &&
        (tap.place.site == Site::Residual ? layer_ends : tap.place.site == Site::Heads && mark == Mark::Heads))
      copy(rows, tap.rows);
}

} // namespace slm
