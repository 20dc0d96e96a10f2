"""slmweb: small language models that chat inside a web page, and the tools that prepare them."""

__version__ = "0.1.0"
