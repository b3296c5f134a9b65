"""Whether programs are the same posterior, and whether draws are healthy and right; no sampler is known here."""
