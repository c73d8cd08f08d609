"""The example project does what its page promises, on an empty database."""
