// sum256.wgsl: the sum of a number of each lane, in a workgroup of 256; all lanes get it.
var<workgroup> summands: array<f32, 256>;

fn sum256(value: f32, lane: u32) -> f32 {
  summands[lane] = value;
  for (var width = 64u; width > 0u; width /= 4u) {
    workgroupBarrier();
    if (lane < width) {
      summands[lane] += summands[lane + width] + summands[lane + 2u * width] + summands[lane + 3u * width];
    }
  }
  workgroupBarrier();
  return summands[0];
}
