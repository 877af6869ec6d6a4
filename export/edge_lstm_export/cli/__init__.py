"""The workstation commands, one module each, thin: parse, call one function, print."""
