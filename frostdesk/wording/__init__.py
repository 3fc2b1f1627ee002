"""The words that code writes to customers, in every shipped language."""
