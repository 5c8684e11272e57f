"""The differences of the emulators from AWS and from each other: the reasons why tests are skipped on one of them.

A test marked `@pytest.mark.not_on("moto", "concurrency")` is skipped on moto with the reason listed here.
"""

DIFFERENCES = {
    (
        "moto",
        "concurrency",
    ): "its threaded server has no locks: two concurrent receives or conditional writes may both succeed",
    ("moto", "sequencer"): "its S3 events have no sequencer and no versionId",
    ("moto", "stale_handle"): "it also deletes a message by an outdated receipt handle",
    ("moto", "projection"): "it returns whole items from an index that projects only some attributes",
    ("moto", "counts"): "the reads are the same there, but counting them takes ten times as long",
    ("moto", "partiql_index"): "its PartiQL does not support indexes",
    ("ministack", "move_task"): "it has no StartMessageMoveTask",
    ("moto", "move_task"): "its StartMessageMoveTask answers 500",
}
