--! breaking
-- Revoked tokens of issuers. A row is deleted when every token that it could hit has expired.
CREATE TABLE revocation (
  sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
  id        TEXT NOT NULL UNIQUE,
  kind      TEXT NOT NULL CHECK (kind IN ('token', 'subject', 'client')),
  issuer    TEXT NOT NULL,
  -- `jti`, `sub` or client id.
  value     TEXT NOT NULL,
  at        TEXT NOT NULL,
  actor     TEXT NOT NULL,
  reason    TEXT NOT NULL,
  forget_at TEXT NOT NULL
) STRICT;
CREATE INDEX revocation_by_end ON revocation (forget_at);
