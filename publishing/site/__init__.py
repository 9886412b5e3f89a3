"""The pages of the documentation site that are not files of docs/: made when it is built."""
