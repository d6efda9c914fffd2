"""HTTP/1.x: `POST /events` answered straight from the parser, all else by a Tornado application.

`server` accepts connections and watches the time, `connection` is one of them, `parser` makes
requests of its bytes, `exchange` is one request and its answer, `response` the bytes of answers.
`contract` is what they want of each other, `limits` what clients may do.
"""
