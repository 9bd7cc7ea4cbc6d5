"""Pages and their buttons: each gets what the visitor may touch, calls one selector or service, and answers."""
