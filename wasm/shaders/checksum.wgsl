// checksum.wgsl: adds the sum of term(word, index) over a range of words, modulo 2^32, to result[slot]. In any order of
// adding the same, but not when words change places or blocks move: a plain weight for each place would let those pass
// whose distance and difference are multiples of powers of two, as those of weights are. Zeros add nothing, so that
// what was never written does not count. Sums of neighbouring ranges add up to that of both. CPU: web/src/gpu/proof.ts.
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

fn term(word: u32, index: u32) -> u32 {
  var x = word ^ ((index + 1u) * 0x9e3779b1u);
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return select(x ^ (x >> 16u), 0u, word == 0u);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  var sum = 0u;
  for (var i = group.x * 256u + lane; i < params.n; i += groups.x * 256u) {
    sum += term(data[params.first + i], params.index + i);
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
