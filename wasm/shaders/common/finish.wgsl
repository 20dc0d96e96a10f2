// finish.wgsl: what becomes of the rows of a product, by the override FINISH.
//   0 stored, 1 added to what is there, 2 silu(y0) * y1, 3 gelu(y0) * y1 (tanh form), 4 cap * tanh(y / cap),
//   5 the same of y + what is there
//:include activation

fn finished(value: f32, before: f32) -> f32 {
  if (FINISH == 1u) {
    return before + value;
  }
  if (FINISH == 4u) {
    return softcap(value, params.cap);
  }
  if (FINISH == 5u) {
    return softcap(before + value, params.cap);
  }
  return value;
}
