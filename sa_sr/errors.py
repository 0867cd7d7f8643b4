"""Exceptions whose words are meant to be read by a person."""


class UserError(Exception):
    """Something the user can mend: bad configuration, unreadable file, failed download.

    The message says what is wrong, where (key, file, image, asset) and what to do about it. The command line prints it
    without a traceback and exits with status 1.
    """


class Refused(Exception):
    """Why a source of an asset, or an archive, is not taken: the next source is tried, or the user told."""
