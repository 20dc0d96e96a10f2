// embed.wgsl: rows of a table for the batch's tokens, times a factor. CPU: Ops::embed, Ops::add_embedding.
// One invocation makes one block of 32 columns of one token. Ids outside of this part of the
// table are another part's. Workgroups: ceil(n * blocks / 64), over x and y of the grid.
//:include block
//:include format

// A token's row: 0 that of its id, 1 that of its place in the batch, 2 the first, 3 that of its column in a picture, 4
// that of its row there in the table's second half.
override INDEX: u32 = 0;
override ADD: u32 = 0;   // to x

struct Params {
  at: vec4<u32>,
  blocks: u32,    // of a row
  first_row: u32, // of this part
  rows: u32,
  n: u32,         // tokens
  factor: f32,
  across: u32,    // patches of a picture's row
  half: u32,      // of the table's rows
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> heap4: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> heap: array<u32>;
@group(0) @binding(3) var<storage, read> ids: array<i32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>; // (n, blocks * 32)

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + lane;
  if (i >= params.n * params.blocks) {
    return;
  }
  // An id below first_row becomes a large number.
  let token = i / params.blocks;
  let row = wanted(token) - params.first_row;
  if (row >= params.rows) {
    return;
  }
  let w = load_block(params.at, row * params.blocks + i % params.blocks);
  put(i * 8u, w.v0);
  put(i * 8u + 1u, w.v1);
  put(i * 8u + 2u, w.v2);
  put(i * 8u + 3u, w.v3);
  put(i * 8u + 4u, w.v4);
  put(i * 8u + 5u, w.v5);
  put(i * 8u + 6u, w.v6);
  put(i * 8u + 7u, w.v7);
}

fn wanted(token: u32) -> u32 {
  switch INDEX {
    case 0u: {
      return u32(ids[token]);
    }
    case 1u: {
      return token;
    }
    case 3u: {
      return token % params.across;
    }
    case 4u: {
      return params.half + token / params.across;
    }
    default: {
      return 0u;
    }
  }
}

fn put(at: u32, value: vec4<f32>) {
  x[at] = select(vec4<f32>(0.0), x[at], ADD == 1u) + value * params.factor;
}
