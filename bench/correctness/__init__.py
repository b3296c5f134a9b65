"""From records to tables, figures and pages; no sampler is needed here."""
