"""`make quality`: what each tensor type costs, and the mixes behind `--type web`.

Everything is computed by the shipped core under wasmtime and kept in dist/quality,
so that an interrupted run goes on where it was. See docs/quality.md for the result.
"""
