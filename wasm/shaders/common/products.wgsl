// products.wgsl: where the rows of up to three products with the same few tokens go. For the matvec shaders, whose
// overrides, Params and buffers it uses.
//:include finish

// Gate and up: one unit of work has a row of both.
fn paired() -> bool {
  return FINISH == 2u || FINISH == 3u;
}

struct Unit {
  product: u32, // 3: there is no such unit
  row: u32,
}

fn bias_of(product: u32, row: u32) -> f32 {
  let bias = params.bias[product];
  if (bias == 0xffffffffu) {
    return 0.0;
  }
  let i = bias + params.first_row[product] + row;
  return params.scale * vectors[i / 4u][i % 4u];
}

fn gated(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> {
  if (FINISH == 2u) {
    return vec4<f32>(silu(gate.x), silu(gate.y), silu(gate.z), silu(gate.w)) * up;
  }
  return vec4<f32>(gelu(gate.x), gelu(gate.y), gelu(gate.z), gelu(gate.w)) * up;
}

// Writes a row of a token.
fn write(product: u32, token: u32, row: u32, value: f32) {
  let i = token * params.y_stride[product] + params.first_row[product] + row;
  if (product == 0u) {
    y0[i] = finished(value, y0[i]);
  } else if (product == 1u) {
    y1[i] = finished(value, y1[i]);
  } else {
    y2[i] = finished(value, y2[i]);
  }
}
