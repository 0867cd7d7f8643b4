"""Being asked to stop, by Ctrl-C, by whoever terminates the process, or by a cluster ahead of its time limit."""

import signal
from typing import Self

from sa_sr.rank import rank

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Stop:
    """Notes these signals inside a `with` block, in `signal`, which is 0 until then; the trainer answers them."""

    def __init__(self) -> None:
        self.signal = 0

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if rank():  # were it ended by another signal while the first one still saves, that one would be killed as well
            ignore()
            return
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        self.signal = number


def ignore() -> None:
    """Ignore these signals. Sent to the whole group, they are answered by its first process, which still needs this."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
