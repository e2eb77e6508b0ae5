"""What holds between measures whatever the attempts: by it statements of one document can contradict each other."""

from speedproof.analysis.collection import Where

SAME_AS: dict[str, Where] = {
    "attempts": {},
    "recorded_successes": {"recorded_success": True},
    "recorded_failures": {"recorded_success": False},
    "exit_and_patch": {"exit_and_patch": True},
    "strict": {"strict": True},
    "confirmed": {"confirmed": True},
    "proven": {"proven": True},
    "agent_successes": {"agent_success": True},
    "patches": {"patch": ["no_effect", "tests_only", "present"]},
    "no_patch": {"patch": ["missing", "empty"]},
    "empty_patch_files": {"patch": "empty"},
    "successes_without_patch": {"recorded_success": True, "patch": ["missing", "empty"]},
    "failures_with_patch": {"recorded_success": False, "exit_and_patch": True},
    "failures_before_any_call": {"fault": "infrastructure", "called": [False, None]},
    "failures_of_provider": {"fault": "model"},
    "patches_seen_before": {"patch_seen_before": True},
    "failed_alike_before": {"failed_alike": True},
    "expert_shown": {"expert_shown": True},
}
"""Measures that count attempts of which these conditions hold."""

SHARES: dict[str, tuple[str, str]] = {
    "recorded_rate": ("recorded_successes", "attempts"),
    "exit_and_patch_rate": ("exit_and_patch", "attempts"),
    "strict_rate": ("strict", "attempts"),
    "confirmed_rate": ("confirmed", "attempts"),
    "no_patch_rate": ("no_patch", "attempts"),
    "errors_without_text_rate": ("errors_without_text", "recorded_failures"),
    "commits_recorded_rate": ("commits_recorded", "commits"),
}
"""Per cent → the part and the whole, over the same attempts."""

PARTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("recorded_successes", "recorded_failures"), "attempts"),
    (("errors_with_text", "errors_without_text"), "recorded_failures"),
    (("errors_explained", "errors_unexplained"), "errors_without_text"),
    (("patches", "no_patch"), "attempts"),
    (("uncached_input_tokens", "cached_input_tokens"), "input_tokens"),
)
"""Parts that have nothing in common, and the whole: they are never more than it."""

AT_MOST: tuple[tuple[str, str], ...] = (
    ("attempts_with_journal", "attempts"),
    ("attempts_with_patch_file", "attempts"),
    ("attempts_with_log", "attempts"),
    ("attempts_with_tokens", "attempts"),
    ("largest_run", "attempts"),
    ("runs", "attempts"),
    ("runs_with_recorded_success", "runs"),
    ("commits", "attempts"),
    ("commits_recorded_latest", "commits_recorded"),
    ("commits_strict", "commits_exit_and_patch"),
    ("commits_confirmed", "commits_strict"),
    ("commits_with_several_attempts", "commits"),
    ("commits_only_concurrent", "commits_with_several_attempts"),
    ("commits_retried", "commits"),
    ("confirmed", "strict"),
    ("strict", "exit_and_patch"),
    ("empty_patch_files", "attempts_with_patch_file"),
    ("distinct_patches", "patches"),
    ("patches_seen_at_another_commit", "patches_seen_before"),
    ("patches_seen_before", "patches"),
    ("causes_found", "attempts"),
    ("tool_output_missing_attempts", "tool_output_missing_calls"),
    ("tool_output_missing_calls", "failed_calls"),
    ("failed_calls", "calls"),
    ("steps_most", "steps"),
    ("wall_shortest", "wall_median"),
    ("wall_shortest", "wall_mean"),
    ("wall_median", "wall_longest"),
    ("wall_mean", "wall_longest"),
    ("recorded_rate_worst_run", "recorded_rate"),
    ("recorded_rate", "recorded_rate_best_run"),
)
"""The first is never more than the second, over the same attempts."""

ADDITIVE = (
    *SAME_AS,
    "attempts_with_journal",
    "attempts_with_patch_file",
    "attempts_with_log",
    "attempts_with_tokens",
    "errors_with_text",
    "errors_without_text",
    "causes_found",
    "tool_output_missing_attempts",
    "tool_output_missing_calls",
    "calls",
    "failed_calls",
    "steps",
    "patch_bytes",
    "wall_s",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "list_price",
    "billed",
)
"""Measures that sum over attempts: over some attempts they are never more than over all, and over groups without common
attempts never more in sum."""

MONOTONE = ("runs", "commits", "runs_with_recorded_success", "commits_recorded", "largest_run", "wall_longest")
"""Measures that are not sums, and yet over some attempts never more than over all."""
