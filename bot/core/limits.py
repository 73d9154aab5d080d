"""Bounds against hostile input, in one place: each bound with its unit and its reason.

docs/reliability.md lists every bound; `tests/test_limits.py` compares the list with this file.
"""

# Money and pace

# Pictures and files

# Connections and requests

MAX_CONNECTIONS = 1_500
"""Open connections of the HTTP server: beyond, a new connection takes the place of the longest waiting connection.
Each connection costs a file descriptor and some kilobytes."""

HEADER_SECONDS = 15.0
"""Time for the headers of a request from the first byte on: a browser sends all headers at once."""

IDLE_SECONDS = 75.0
"""Time that a connection stays open between requests: longer than the 60 seconds of a common proxy, whose next request
would otherwise meet a closing connection."""

BODY_WINDOW_SECONDS = 10.0
"""Time in which a body must bring `BODY_WINDOW_BYTES`, or the end: a silent upload gives up the place."""

BODY_WINDOW_BYTES = 16 * 1024
"""The least that a body brings in each window: a tenth of a slow phone's uplink."""

BODY_SECONDS = 300.0
"""Time for a whole body: the largest upload of 25 MB passes at 85 kB a second."""

LINGER_SECONDS = 5.0
"""Time in which the rest of a refused body is read and dropped, so the sender can read the refusal."""

WRITE_WINDOW_SECONDS = 30.0
"""Time in which a waiting reader must take `WRITE_WINDOW_BYTES` of a response: the rest stands in memory meanwhile."""

WRITE_WINDOW_BYTES = 4 * 1024
"""The least that a waiting reader takes in each window: about two packets, less than any line in use."""

PICTURE_SECONDS = 600.0
"""Time for a whole picture: the kernel sends pictures without telling how far the reader is."""

UPLOAD_WAIT_SECONDS = 60.0
"""Time that an upload waits for a place among the uploads in memory, before a person is asked to try again."""

RANK_BELIEVED_SECONDS = 60.0
"""A rank that a platform took away counts for at most this long: a dismissed moderator must not go on for minutes."""

MIN_WEB_TOKEN_CHARACTERS = 16
"""The shortest WEB_TOKEN for a page that other machines reach: 64 bits, if the token is hexadecimal."""

TOKEN_GUESS_BURST = 10
"""Wrong guesses of WEB_TOKEN in a row before further guesses wait: an owner mistypes a key a few times at most."""

TOKEN_GUESS_SECONDS = 3.0
"""Time from one guess of WEB_TOKEN to the next, after the first few: ten million guesses a year."""

# Text

# Storage

MIN_FREE_DISK_BYTES = 16 * 1024 * 1024
"""Free space below which /readyz reports a full disk: the check writes nothing, since a stranger may ask for it."""
