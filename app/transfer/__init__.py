"""A client's data in and out: existing chatbot rows are brought in, and everything is written out."""
