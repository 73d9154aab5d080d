"""llama.cpp's own server on loopback: `python -m tests.servers.llama_server MODEL KEY` prints its address."""

import sys
import threading

import xllamacpp

if __name__ == "__main__":
    settings = xllamacpp.CommonParams()
    settings.model.path = sys.argv[1]
    settings.api_keys = [sys.argv[2]]
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    settings.n_ctx, settings.n_parallel, settings.cpuparams.n_threads = 8192, 2, 1
    settings.use_jinja = True
    server = xllamacpp.Server(settings)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    threading.Event().wait()
