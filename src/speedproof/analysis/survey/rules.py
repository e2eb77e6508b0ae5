"""The success rules side by side, as columns: wherever one is shown, all are."""

SUCCESSES = (
    ("Recorded", "recorded_successes"),
    ("Exit and patch", "exit_and_patch"),
    ("Strict", "strict"),
    ("Confirmed", "confirmed"),
    ("Proven", "proven"),
)
"""Columns that count the successes by each rule."""
COUNTS = (("Attempts", "attempts"), *SUCCESSES)
"""Attempts, and the successes among them."""
RATES = (
    ("Recorded", "recorded_rate"),
    ("Exit and patch", "exit_and_patch_rate"),
    ("Strict", "strict_rate"),
    ("Confirmed", "confirmed_rate"),
    ("Proven", "proven_rate"),
)
"""Columns that give shares."""
