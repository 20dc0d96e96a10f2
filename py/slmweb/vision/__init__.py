"""Pictures beside a model: read, cut and resized as its encoder wants them, laid out in a prompt.

  with model.load_vision("mmproj-model.gguf") as vision, Pictures(vision) as pictures:
      prompt = lay_out(model, vision.info, messages)
      with pictures.session() as session:
          pictures.show(session, prompt)
          for text in session.generate(prompt.ids):
              print(text, end="")

Each step is a module: `projectors` (what differs between the kinds of encoder, as data),
`preprocess` (a file to pixels), `prompt` (messages to token ids, and where pictures stand among
them), `pictures` (each encoded once), `encoder_file` (which file is whose).
"""
