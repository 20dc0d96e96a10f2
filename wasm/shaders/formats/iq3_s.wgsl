// iq3_s.wgsl: eight magnitudes and their signs, as wasm/src/indexed.cpp has them.
//:include indexed

const TABLE = vec4<u32>(0x07050301u, 0x0f0d0b09u, 0xf9fbfdffu, 0xf1f3f5f7u);
