"""From records to rows, ratios with intervals, and verdicts; nothing is drawn here."""
