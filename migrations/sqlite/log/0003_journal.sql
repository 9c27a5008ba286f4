-- What limits counted with the entries of a batch: the journals of its appends in their order, each behind its length
-- (32 bits, little-endian). One row for each batch that has any, under the index of the first leaf of the batch, in the
-- transaction of its leaves. No leaf is about it, and whoever verifies the log does not read it.
CREATE TABLE journal (
  idx  INTEGER PRIMARY KEY CHECK (idx >= 0),
  body BLOB NOT NULL
) STRICT;
