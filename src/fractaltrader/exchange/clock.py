"""The wall clock; everything else is handed one."""

import time


class SystemClock:
    """UTC epoch milliseconds of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000
