"""Events in: body → raw events → pure steps → group commit → one `COPY` per client and flush → answer."""
