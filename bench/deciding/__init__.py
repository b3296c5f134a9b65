"""Questions that many fits answer: which programs are the same, which model, backend or version to take."""
