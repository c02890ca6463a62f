"""The caching proxy that edge and shield run; it knows no film, no node, no map.

A request is a short list of steps (serve.pipeline): recognise, admit, key, look up, decide, fill, deliver, account.

Words: fields (header or trailer fields), key (what an answer is stored under), stored (an answer and its metadata),
flight (one fill that many readers share), ending (how a flight ended), upstream (the next tier).
Imports: the ground floor only. Inside, `serve -> fill -> upstream | store -> rules -> http`. Start at serve.pipeline.
"""
