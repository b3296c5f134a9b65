"""From what was found to words, tables, figures and pages; no sampler is needed here."""
