"""Where the two emulators differ from AWS or from each other: the one place that says why a test leaves one out.

A test says `@pytest.mark.not_on("moto", "concurrency")`, and is skipped there with the reason that stands here.
"""

DIFFERENCES = {
    (
        "moto",
        "concurrency",
    ): "its threaded server has no locks: of two receives or conditional writes at a time both may win",
    ("moto", "sequencer"): "its S3 events have no sequencer and no versionId",
    ("moto", "stale_handle"): "it deletes a message by a receipt handle that is not the newest",
    ("moto", "projection"): "it gives back whole items from an index that carries only some attributes",
    ("moto", "counts"): "what is read is the same there, counted ten times as slowly",
    ("moto", "partiql_index"): "its PartiQL knows no index",
    ("ministack", "move_task"): "it has no StartMessageMoveTask",
    ("moto", "move_task"): "its StartMessageMoveTask answers 500",
}
