// tq2_0.wgsl: a few values, by index.
//:include few
