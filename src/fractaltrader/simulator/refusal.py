"""The venue's word for no."""


class RefusedError(Exception):
    """The whole action is refused: `{"status":"err","response":text}`."""
