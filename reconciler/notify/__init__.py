"""Tells people and forges what changed for the better or worse, once and never in a storm.

    decide    what to tell, given what was told before and how things are (pure)
    words     messages as bytes for each kind of recipient (pure)
    herald    looks at the board now and then, decides, sends; a thread of its own

`commands.run` enters `telling` around the loop. Must not know how passes are made, and never waits for a recipient
in the thread of one.
"""

from reconciler.notify.herald import telling

__all__ = ["telling"]
