// few.wgsl: the values of IQ2, IQ1 and the ternary types, as wasm/src/indexed.cpp has them.
//:include indexed

const TABLE = vec4<u32>(0xf92b1908u, 0x02000901u, 0xf7d5e7f8u, 0x000007ffu);
