// exp.h: e^x of four numbers at once, for kernels and for the sampler.
#pragma once

#include <initializer_list>

#include "simd.h"

namespace slm {

/// e^x, about 2 ulp over the whole range (Cephes' range reduction and
/// polynomial: x = n ln 2 + r, |r| <= ln 2 / 2). Below -87.3 it gives 0.
inline simd::v128 exp_f32(simd::v128 x) {
  using namespace simd;
  const v128 low = splat_f32(-87.3f);
  const v128 clamped = min_f32(max_f32(x, low), splat_f32(88.3f));
  const v128 n = nearest_f32(mul_f32(clamped, splat_f32(1.44269504f)));
  v128 r = madd_f32(n, splat_f32(-0.693359375f), clamped);
  r = madd_f32(n, splat_f32(2.12194440e-4f), r);
  v128 p = splat_f32(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = madd_f32(p, r, splat_f32(c));
  p = add_f32(madd_f32(p, mul_f32(r, r), r), splat_f32(1));
  const v128 power = shl32(add_i32(to_i32(n), splat_i32(127)), 23);
  return and_(mul_f32(p, power), greater_f32(x, low));
}

} // namespace slm
