"""What every part uses: errors in one line, files written whole, the folder of a run."""
