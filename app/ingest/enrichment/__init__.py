"""What is added to an event, and what is taken out of it, before it is stored: ordered, pure steps (`pipeline.py`)."""
