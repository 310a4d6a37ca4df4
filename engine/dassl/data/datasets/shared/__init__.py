"""Functions that the bundled datasets share: class folders and lists, exported arrays, domains, labelled parts."""
