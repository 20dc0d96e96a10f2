"""Pictures beside a model: read, cut and resized as its encoder wants them, laid out in a prompt.

Each step is a module: `projectors` (what differs between the kinds of encoder, as data),
`preprocess` (a file to pixels), `prompt` (messages to token ids and where pictures stand among
them), `eyes` (an encoder at work, which encodes a picture once).
"""
