"""The commands of `grove`, one module each; `app.__main__` assembles them."""
