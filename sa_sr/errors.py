"""The one exception that is meant to be read by a person."""


class UserError(Exception):
    """Something the user can mend: bad configuration, unreadable file, failed download.

    The message says what is wrong, where (key, file, image, asset) and what to do about it. The command line prints it
    without a traceback and exits with status 1.
    """
