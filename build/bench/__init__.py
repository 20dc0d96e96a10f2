"""`make bench`: slmweb beside wllama and native llama.cpp, in one run on one machine."""
