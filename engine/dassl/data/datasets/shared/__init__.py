"""What the bundled datasets share: reading class folders and lists, exporting arrays, domains, labelled parts."""
