// iq4_xs.wgsl: the values of IQ4_NL, as wasm/src/indexed.cpp has them.
//:include indexed

const TABLE = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
