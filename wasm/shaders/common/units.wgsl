// units.wgsl: which row a group of LANES neighbouring lanes has, for the shaders in which they sweep along rows, ROWS of
// them at once. A workgroup has 64 lanes.
//:include products

// Of four rows, a component for each token.
struct Four {
  r0: vec4<f32>,
  r1: vec4<f32>,
  r2: vec4<f32>,
  r3: vec4<f32>,
}

// Rows of each product, rounded up to a multiple of 4, so that no group has rows of two.
fn unit(index: u32) -> Unit {
  let units = (params.rows.xyz + 3u) & vec3<u32>(0xfffffffcu);
  if (index < units.x) {
    return Unit(0u, index);
  }
  if (PRODUCTS > 1u && !paired() && index - units.x < units.y) {
    return Unit(1u, index - units.x);
  }
  if (PRODUCTS > 2u && index - units.x >= units.y && index - units.x - units.y < units.z) {
    return Unit(2u, index - units.x - units.y);
  }
  return Unit(3u, 0u);
}

fn regions(product: u32) -> vec4<u32> {
  return select(select(params.at0, params.at1, product == 1u), params.at2, product == 2u);
}
