"""Bounds against hostile input, in one place: each bound with its unit and its reason.

docs/reliability.md lists every bound; `tests/test_limits.py` compares the list with this file.
"""

# Money and pace

MAX_OPEN_JOBS_PER_USER = 100
"""Unfinished jobs of a person over all workspaces of a platform, whatever moderators allow: each job waits in memory,
and every other person's job takes turns with them."""

MAX_PACED_USERS = 10_000
"""People whose pace of asking is remembered; the longest silent are forgotten first, some 2 MB in all."""

PAGE_MESSAGES_PER_MINUTE = 60
"""Messages of a person on the page, refused ones too, and as many at once: each stores two rows, and nobody types
faster."""

MAX_REMEMBERED_REQUESTS = 10_000
"""Requests remembered as counted, because platforms deliver some requests again within minutes."""

MAX_REDELIVERIES = 3
"""Repeats of a request that do not count again: Slack sends an event three more times, and a page's client chooses its
request ids itself."""

# Pictures and files

MAX_ATTACHMENT_BYTES = 20 * 1024 * 1024
"""A file that a person gives: cameras' largest pictures are smaller, and each upload stands in memory as a whole."""

MAX_SOUND_SECONDS = 4 * 60 * 60
"""A sound that a person gives: 20 MB of speech as phones record it. Models bill by length."""

MAX_VIDEO_SECONDS = 30 * 60
"""A video that a person gives: no model of 2026 looks at more, and 20 MB of a longer one show nothing clearly."""

MAX_CONTAINER_PARTS = 100_000
"""Parts of a sound or video that are read one by one: an MP3 of 43 minutes has so many, and the rest is estimated; a
video of a million empty boxes takes seconds otherwise."""

MAX_REMOVED_PARTS = 10_000
"""Parts of a sound or video that are removed because people may write there: recordings have some dozens, and each of
two million empty parts in 20 MB costs a kilobyte of memory."""

MAX_OUTPUT_BYTES = 256 * 1024 * 1024
"""A file of a model: a PNG of 150 million pixels of an enlarged photograph is smaller, and so is a minute of video in
4K. It is kept on disk while it is checked, and sent in parts."""

MAX_OUTPUT_FILES = 10
"""Files of a model that are kept for one job: a message shows ten, and the reply says how many are left out."""

MAX_OUTPUT_PIXELS = 150_000_000
"""A picture of a model: five times the largest camera's. It is kept whole, and decoded in parts."""

MAX_PREVIEW_PIXELS = 4_000_000
"""A smaller copy of a large picture, for the page: more than a window shows."""

MAX_PREVIEW_BYTES = 2 * 1024 * 1024
"""The file of such a copy; eight are remembered."""

MAX_WHOLE_BYTES = 32 * 1024 * 1024
"""A picture of a model that is decoded as a whole: a PNG of 25 million pixels of a photograph is smaller."""

MAX_INLINE_BYTES = 64 * 1024
"""A file that the event loop hashes, or measures by its header: a tenth of a millisecond, as long as a thread needs to
wake up."""

MAX_PIXELS = 25_000_000
"""A picture decoded as a whole, and so each picture of a person. Pillow refuses only at 179 million pixels: up to
700 MB of memory from a file of 20 kB."""

MAX_SIDE_PIXELS = 32_767
"""A picture of 25,000,000 × 1 pixels has an allowed area, but costs 60 bytes a pixel in tables of rows."""

MAX_PNG_CHUNKS = 20_000
"""A picture of 32 MB in chunks of 8 kB has 4,000; 1.6 million empty chunks stop the event loop for seconds."""

MAX_JPEG_SEGMENTS = 2_000
"""A camera's picture with a preview in its metadata has some hundred; each of a million empty segments takes time."""

MAX_JPEG_SCANS = 40
"""Programs write up to 20 scans; each scan passes over the whole area, and 12,000 scans fit into 500 kB."""

MAX_WEBP_CHUNKS = 20_000
"""Animations have some thousand frames, of which the first is read; each chunk is one step."""

MAX_GIF_BLOCKS = 200_000
"""The first frame of a picture of 32 MB has up to 132,000 blocks of 255 bytes; blocks of one byte only cost time."""

MAX_DECODING_BYTES = 480 * 1024 * 1024
"""Memory of all pictures decoded at once: with the files that wait, the bot stays below the container's 1 GB."""

OUTPUT_DECODING_BYTES = 96 * 1024 * 1024
"""Decoding memory that people's uploads leave free, so that a model's output of ordinary size never waits for them."""

MAX_UPLOADS_IN_MEMORY = 8
"""Files of people read and decoded at once, each of up to 20 MB; further files wait where they are kept."""

ROOM_SECONDS = 5.0
"""Time that a new picture waits for room in the folder of pictures: deleting old files takes milliseconds each."""

MAX_SERVER_REPLY_BYTES = 64 * 1024 * 1024
"""A whole reply of an owner's model server: four pictures in base64 are smaller, and the reply stands in memory."""

MAX_COG_BODY_BYTES = 96 * 1024 * 1024
"""A request to a Cog server, which takes 100 MiB: files travel in it as base64."""

MAX_LIVE_PREVIEW_BYTES = 64 * 1024
"""An unfinished picture in a message: each running job holds one in memory, and sends one a second."""

MAX_LIVE_PREVIEW_PIXELS = 512 * 512
"""The same picture's size: previews of models are no larger."""

MAX_RECIPE_BYTES = 1024 * 1024
"""A workflow or recipe in a picture's file, unpacked, and all such texts of a file together: large ones have some
100 kB; a longer text is left out, and 20 MB hold twenty thousand texts that each unpack to a megabyte."""

MAX_ANCESTORS = 12
"""Pictures of a contact sheet: three rows of four stay readable on a phone; older ancestors are left out."""

MAX_SOCKET_FRAME_BYTES = 8 * 1024 * 1024
"""One frame of a ComfyUI server: a live preview of 512 × 512 pixels has some 50 kB, a list of outputs less. Also the
unfinished picture of a video model, a file at its server."""

MAX_ENDED_RUNS = 50
"""Ended runs of such a server that are remembered with their files, until the job's end is stored: milliseconds."""

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

REFUSAL_SECONDS = 0.1
"""Time that a refused request waits for the answer: a browser meets few refusals, and an attacker's next try waits."""

MAX_CONCURRENT_REFUSALS = 8
"""Refused requests that wait at once: strangers together get 80 refusals a second, and further ones stand in line."""

PICTURE_SECONDS = 600.0
"""Time for a whole file: the kernel sends files without telling how far the reader is. A player that paused for longer
asks for the rest by a range."""

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

MAX_PROMPT_CHARACTERS = 1_500
"""Characters of words about a picture, film or piece of music: models read some 500 tokens, and the reply quotes all
words within one message of Discord."""

MAX_ANSWER_CHARACTERS = 100_000
"""Characters of a model's answer: fifty messages on Discord. The reply says how many are left out."""

MAX_PAGE_MESSAGE_CHARACTERS = 100_000
"""Characters of a message on the page: a browser draws more only after seconds."""

MAX_SNAPSHOT_CHARACTERS = 1_000_000
"""Characters of a conversation that a window gets at once: a user may open 64 windows, each with a copy."""

MAX_FEED_CHARACTERS = 16_000_000
"""Characters of finished messages in memory, for windows that lost their connection; older ones are read again."""

MAX_REFUSED_TEXT_CHARACTERS = 2_000
"""A longer request is stored whole only once accepted: refused requests cost nothing, and would fill the database."""

KEPT_REFUSED_TEXT_CHARACTERS = 500
"""The beginning of a long refused request, enough to recognise the words."""

MAX_ERROR_CHARACTERS = 2_000
"""Characters of a stored refusal, which may quote a request."""

MAX_WORD_SEARCH_ON_LOOP = 1_000_000
"""Characters times refused words. A longer search takes up to two seconds for hostile patterns, and so a thread."""

MAX_SPLIT_ON_LOOP_CHARACTERS = 10_000
"""Characters of a text that are split into messages at once. 10,000 empty lines take 35 ms; more take a thread."""

# Storage

MIN_FREE_DISK_BYTES = 16 * 1024 * 1024
"""Free space below which /readyz reports a full disk: the check writes nothing, since a stranger may ask for it."""

EXPORT_MAX_BYTES = 8_000_000
"""Discord refuses files above 10 MB, and the web page keeps the file in the database."""

EXPORTS_PER_MINUTE = 10
"""Exports of a person: each reads all rows about the person, and a loop of exports would fill the database."""

MAX_MESSAGES_WITH_FILES = 8
"""The latest messages of a person on the page whose files are kept: an export has up to 8 MB."""

# Documents

MAX_PDF_CHARACTERS = 12_000
"""Text of a PDF in a question: a message takes 16,000 characters, and the question needs some."""

MAX_PDF_PAGES = 200
"""Pages that are read: pages without text come cheap, and a book of empty pages must end."""

MAX_PDF_CPU_SECONDS = 10
"""Time of the processor for one PDF: a long report takes a second or two."""

MAX_PDF_MEMORY_BYTES = 512 * 1024 * 1024
"""Memory of the process that reads a PDF, the interpreter included."""

# Pictures of a conversation

MAX_EARLIER_PICTURES = 4
"""Pictures from before a question that a chat model sees again: the asker pays for each with every question."""

MAX_SEARCHED_PICTURES = 40
"""The newest pictures of a conversation that are looked up on the disk, to be seen or counted as left out."""

MAX_DESCRIPTION_CHARACTERS = 2_000
"""A picture's description in a question to a model that cannot see: four of them leave half of a message for words."""

MAX_EARLIER_PIXELS = 40_000_000
"""Pixels of these pictures together: each is decoded once more, and goes to the model whole."""

# Models from the chat

MAX_RUN_FIELDS = 40
"""Inputs of a published model in a form: Slack takes a hundred blocks, and few models have more inputs than this."""

MAX_RUN_INPUT_CHARACTERS = 20_000
"""Characters of all inputs of `/run`: a long prompt, and not a book that a row would keep."""

MAX_RUN_REQUESTS = 5
"""Requests for a model of one person that wait for moderators: a flood of requests hides reports."""

MAX_PRESETS = 25
"""Presets of one person, and as many of one workspace: a list of them fits into a message."""

MAX_BATCH_PICTURES = 24
"""Pictures of one batch: a contact sheet of more is hard to read, and the batch is to leave room among the thirty
requests that a person may have open."""

MAX_SPEECH_PARTS = 20
"""Parts of one text that are spoken one by one: each is a request, and leaves room as the pictures of a batch do."""

MAX_SPEECH_CHARACTERS = 20_000
"""Characters of a text to speak: some twenty minutes, which a WAV file holds in 120 MB."""

# Webhooks of workspaces

WEBHOOK_POST_SECONDS = 15.0
"""Time for one post to a workspace's webhook: a receiver that answers at once keeps the connection for milliseconds."""

MAX_CONCURRENT_WEBHOOK_POSTS = 8
"""Posts to webhooks at once, one for each workspace: silent receivers hold a few connections, and delay each other."""

WEBHOOK_GIVE_UP_SECONDS = 12 * 60 * 60.0
"""Time from the end of a job to the last attempt: a receiver that is down for a night gets everything afterwards."""

# Trainings

MIN_TRAINING_PICTURES = 4
"""Different pictures of a training: a model that saw fewer repeats them."""

MAX_TRAINING_PICTURES = 40
"""Pictures of a training: twice what trainers advise, and each is decoded before any money is held."""

MAX_TRAINING_PICTURE_BYTES = 500_000
"""One picture as a trainer gets it, made smaller if need be: forty of them fit into `MAX_ATTACHMENT_BYTES`."""

MAX_TRAINING_PICTURE_PIXELS = 1_048_576
"""Its size: trainers of 2026 learn from a megapixel at most."""

MAX_ZIP_ENTRIES = 1_000
"""Entries of a zip: a folder of photographs has fewer, and the directory of 20 MB holds 400,000 empty ones."""

MAX_ZIP_BYTES = 200 * 1024 * 1024
"""Unpacked bytes of all pictures of a zip: ten times its own bound, and packed pictures do not shrink. A bomb does."""
