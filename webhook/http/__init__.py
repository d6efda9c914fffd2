"""HTTP/1.x: `POST /events` answered straight from the parser, all else by a Tornado application.

`server` accepts connections and enforces time limits. `connection` is one of them. `parser` makes
requests from its bytes. `exchange` is one request and its answer. `response` makes the bytes of
answers. `contract` is what these parts need from each other. `limits` is what clients may do.
"""
