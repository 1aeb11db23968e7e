"""Who may do what: authentication, permissions, and the objects of access control."""
