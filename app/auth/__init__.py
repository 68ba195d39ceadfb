"""Who is asking, and may they: keys, and the guards that turn a key into a client."""
