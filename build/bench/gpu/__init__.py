"""`make bench-gpu`: the GPU path by itself, beside what its device can do, in Node on Dawn."""
