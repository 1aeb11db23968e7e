"""The API of a cluster, without I/O: which calls read, create, update and delete an object, in which order.

    protocol       the effects that a flow yields, and the responses
    driver         carries out effects, over connections that it is given
    codec          spec ↔ wire: names ↔ uids, secrets, what a read returns
    read           a list, one object
    create         a create, whose outcome may be unknown
    precondition   what must hold before an existing object is written
    update delete  the writes to an existing object
    sub_resources  fields at an endpoint of their own
    wait           from an accepted write to its result
    reconnect      a change that may lock out the management account
    task           what the flows of one change work on
    hooks          what data cannot describe about a kind

A flow is a generator: it yields effects, and a driver has the sockets, the clock and the files. An error of a call is
raised at the `yield`, so a flow reads as the procedure that it is.
"""
