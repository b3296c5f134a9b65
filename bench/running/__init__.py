"""From a plan to records: workers, the equality gate, timed fits and the life of a run."""
