// f16.wgsl: half floats of the heap, decoded by integers: scales of K-quants are often subnormal, and
// unpack2x16float may flush those.

// The half in the low 16 bits.
fn from_f16(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = bitcast<f32>((magnitude << 13u) + (112u << 23u));
  let value = select(normal, f32(magnitude) * 0x1p-24f, magnitude < 0x400u);
  return select(value, -value, (bits & 0x8000u) != 0u);
}

// Half i of those that begin at word `at`, two in a word.
fn f16_at(at: u32, i: u32) -> f32 {
  return from_f16(heap[at + i / 2u] >> (16u * (i & 1u)));
}
