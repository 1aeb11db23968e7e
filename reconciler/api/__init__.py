"""The API of a cluster, without I/O: which calls read, create, update and delete an object, in which order.

    protocol      the effects that a flow yields, and what it is sent
    codec         spec ↔ wire: names for uids, secrets, what a read shows
    read          a list, one object
    create        a create whose outcome may be unknown
    write         update and delete
    settle        from an accepted write to its result
    subresources  fields behind an endpoint of their own
    reconnect     a change that may cut off access
    task          what the flows of one change work on
    hooks         what a kind does that data cannot say

A flow is a generator: it yields effects, and whoever drives it has the sockets, the clock and the files. An error of a
call is raised at the `yield` that asked for it, so that a flow reads as the procedure that it is.
"""
