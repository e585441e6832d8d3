"""What carries messages between Python and a page: the protocol, sessions that lose nothing, transports, and how a cell waits for its page."""
