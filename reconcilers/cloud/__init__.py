"""OpenStack as seen by the engine: session, dispatch, observer, look-ups."""
