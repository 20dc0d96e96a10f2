// checksum.wgsl: adds the sum of word * (2 * index + 1) over a range of words, modulo 2^32, to result[slot]. In any order
// the same, but not when two words change places; sums of neighbouring ranges add up to that of both. CPU: checksum().
// Any number of workgroups in x.
struct Params {
  first: u32, // word of data
  n: u32,     // words
  index: u32, // of the first word
  slot: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read_write> result: array<atomic<u32>>;

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  var sum = 0u;
  for (var i = group.x * 256u + lane; i < params.n; i += groups.x * 256u) {
    sum += data[params.first + i] * (2u * (params.index + i) + 1u);
  }
  sums[lane] = sum;
  for (var width = 64u; width > 0u; width /= 4u) {
    workgroupBarrier();
    if (lane < width) {
      sums[lane] += sums[lane + width] + sums[lane + 2u * width] + sums[lane + 3u * width];
    }
  }
  if (lane == 0u) {
    atomicAdd(&result[params.slot], sums[0]);
  }
}
