// dot32.wgsl: the dot product of two blocks of 32 columns. Needs common/block.wgsl.

// A vector of sums, so that there are four chains of additions instead of one.
fn dot32(a: Block, b: Block) -> f32 {
  let s = a.v0 * b.v0 + a.v1 * b.v1 + a.v2 * b.v2 + a.v3 * b.v3 + a.v4 * b.v4 + a.v5 * b.v5 + a.v6 * b.v6 + a.v7 * b.v7;
  return (s.x + s.y) + (s.z + s.w);
}
