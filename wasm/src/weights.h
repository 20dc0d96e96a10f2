// weights.h: the weights of one model or adapter, where a backend keeps them:
// cpu/weights.cpp packs matrices for its kernels, gpu/weights.cpp takes them to
// the device, in pieces, so that they never stand whole in linear memory. Knows
// no names but for errors, and not what a tensor is for.
#pragma once

#include <memory>
#include <string_view>

#include "error.h"
#include "matrix.h"

namespace slm {

class WeightStore {
public:
  WeightStore();
  ~WeightStore();
  WeightStore(WeightStore &&) noexcept;
  WeightStore &operator=(WeightStore &&) noexcept;

  /// Gives `m`, whose type and shape are set, its place; `name` is for errors. It must stay where it is.
  Status place(Matrix &m, std::string_view name);
  /// `out` becomes room for `n` floats in linear memory, before placed() returns.
  Status place(float *&out, uint32_t n, std::string_view name);
  /// `rows`, of which the number is set, become those of `whole` from `first`, a multiple of kRows, on. The whole
  /// has its place.
  void part(const Matrix &whole, uint32_t first, Matrix &rows);
  /// After the last place().
  Status placed();

  /// Takes rows of `m` from `first`, a multiple of kRows, on, as they stand in a file (`n` bytes,
  /// whole rows). On the CPU any thread may, several at the same time.
  Status pack(const Matrix &m, uint32_t first, const uint8_t *bytes, uint32_t n);
  /// After the last byte: the vectors hold their values too.
  Status packed();

  /// Bytes that `m` takes.
  static uint64_t bytes(const Matrix &m);

  struct Kept; // the backend's
  Kept &kept() const { return *kept_; }

private:
  std::unique_ptr<Kept> kept_;
};

} // namespace slm
